"""Draw the picture of the README: the network of its example, curves on the edges."""

import matplotlib

matplotlib.use("Agg")
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split

import kanx

X, y = load_breast_cancer(return_X_y=True, as_frame=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
model = kanx.KANClassifier(random_state=0).fit(X_train, y_train)
print(model.score(X_test, y_test), model.network_.n_edges, "curves")
view = kanx.explain(model, X_train)
view.plot_network(max_inputs=10).figure.savefig("docs/network.png", dpi=110, bbox_inches="tight")
view.plot().savefig("docs/curves.png", dpi=110, bbox_inches="tight")
