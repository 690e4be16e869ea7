"""Draw the pictures of the README: the network of its example and its curves."""

import matplotlib

matplotlib.use("Agg")
import kanx

data = kanx.datasets.load_diabetes()
X_train, X_test, y_train, y_test = data.split(random_state=0)
model = kanx.KANRegressor(random_state=0).fit(X_train, y_train)
print(model.score(X_test, y_test), model.network_.n_edges, "curves")
view = kanx.explain(model, X_train, units=data.units)
view.plot_network().figure.savefig("docs/network.png", dpi=110, bbox_inches="tight")
view.plot().savefig("docs/curves.png", dpi=110, bbox_inches="tight")
