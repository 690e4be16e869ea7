# %% [markdown]
# # Categories and missing values
#
# Tables as they come: text columns are categories, empty cells are missing values. Both go straight
# in; each category has a value of its own, and so has "missing".
#
# The table is made up, so that we know the truth: rents of flats.

# %%
import warnings

import numpy as np
import pandas as pd

import kanx
from kanx.explain import plots

rng = np.random.default_rng(0)
n = 600
premium = {"centre": 3.0, "harbour": 1.5, "north": 0.0, "south": -0.5}
flats = pd.DataFrame(
    {
        "area": rng.uniform(20, 140, n).round(),
        "built": rng.integers(1900, 2020, n).astype(float),
        "district": rng.choice(list(premium), n, p=[0.4, 0.3, 0.25, 0.05]),
        "balcony": rng.random(n) < 0.5,
    }
)
rent = (
    9
    + 60 / flats["area"]
    + 0.0004 * (flats["built"] - 1950) ** 2
    + flats["district"].map(premium)
    + 0.5 * flats["balcony"]
    + rng.normal(0, 0.4, n)
).rename("rent")
hidden_away = rng.random(n) < 0.2  # the year is unknown for a fifth of the flats
flats.loc[hidden_away, "built"] = np.nan
flats.head()

# %% [markdown]
# ## Fit

# %%
model = kanx.KANRegressor(n_estimators=2, random_state=0).fit(flats[:450], rent[:450])
print(f"R² on held-out rows: {model.score(flats[450:], rent[450:]):.3f}")

# %% [markdown]
# ## Look
#
# Categories are bars with error bars: the rare district has the widest. The mark at the side of the
# curve of "built" is the value where the year is missing.

# %%
units = {"area": "m²", "rent": "€/m²"}
view = kanx.explain(model, flats[:450], units=units)
figure = view.plot()

# %% [markdown]
# The values of the districts, centred over the rows, beside the truth:

# %%
bars = view.effects.select(source="district")[0]
truth = np.array([premium[name] for name in bars.labels])
mean = flats["district"][:450].map(premium).mean()
pd.DataFrame(
    {"found": bars.value, "std": bars.std, "truth": truth - mean}, index=list(bars.labels)
).round(2)

# %% [markdown]
# ## One flat
#
# An unknown year contributes what flats of unknown year do on average.

# %%
row = flats[450:][flats["built"][450:].isna()].iloc[[0]]
ax = view.plot_local(row)

# %% [markdown]
# ## Something new
#
# A category that was not there during the fit is no error: it contributes nothing, and it is
# flagged, as a number outside the range is.

# %%
strange = pd.DataFrame(
    {"area": [300.0], "built": [1960.0], "district": ["moon"], "balcony": [True]}
)
with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    print(model.predict(strange))
print(said[0].message)
pd.DataFrame(view.out_of_range(strange), columns=view.names)

# %% [markdown]
# ## All rows at once
#
# One dot for every row and input. Categories are grey, since they have no order; crosses are
# missing values.

# %%
ax = plots.plot_beeswarm(view.local())

# %% [markdown]
# ## Numbers that are codes
#
# A column of codes (a postcode, a machine's number) looks like a measurement. Say that it is not.

# %%
coded = flats.assign(district=pd.factorize(flats["district"])[0])
model = kanx.KANRegressor(
    hidden="additive", categorical_features=["district", "balcony"], random_state=0
)
model.fit(coded[:450], rent[:450])
print(f"R² on held-out rows: {model.score(coded[450:], rent[450:]):.3f}")
