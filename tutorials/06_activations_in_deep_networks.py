# %% [markdown]
# # Learnable activations in an ordinary network
#
# Two uses of the layers in a network of your own, with your own loop:
#
# 1. polynomial (SLAF, Goyal et al. 2019) and rational (Padé) edges in place of linear layer plus
#    activation;
# 2. an interpretation layer at the end of a deep network, as Sun et al. (2020) propose: a few
#    features, one readable curve each.

# %%
import matplotlib.pyplot as plt
import torch
from torch import nn

import kanx
from kanx.layers import KANLayer

generator = torch.manual_seed(0)

# %% [markdown]
# ## Two spirals
#
# The classic hard case for smooth activations.

# %%
data = kanx.datasets.make_two_spirals(400, random_state=0)
x = torch.tensor(data.X.to_numpy(), dtype=torch.float32)
x = (x - x.mean(0)) / x.std(0)
y = torch.tensor(data.y.to_numpy() == data.y[0], dtype=torch.float32)


def train(net, steps=250, rate=0.01):
    """Train on all rows; return the share of rows that are right."""
    optimiser = torch.optim.Adam(net.parameters(), lr=rate)
    for _ in range(steps):
        optimiser.zero_grad()
        loss = nn.functional.binary_cross_entropy_with_logits(net(x)[:, 0], y)
        loss.backward()
        optimiser.step()
    return ((net(x)[:, 0] > 0) == (y > 0)).float().mean().item()


# %% [markdown]
# `KANLayer` stands where `nn.Linear` would, with any leading dimensions. A hidden width of 12, once
# with ReLU and twice with learnable edges:

# %%
networks = {
    "ReLU": nn.Sequential(
        nn.Linear(2, 12), nn.ReLU(), nn.Linear(12, 12), nn.ReLU(), nn.Linear(12, 1)
    ),
    "SLAF": nn.Sequential(
        KANLayer(2, 12, edge="slaf", degree=5), KANLayer(12, 1, edge="slaf", degree=5)
    ),
    "Padé": nn.Sequential(KANLayer(2, 12, edge="pade"), KANLayer(12, 1, edge="pade")),
}
for name, net in networks.items():
    size = sum(p.numel() for p in net.parameters())
    print(f"{name}: {size} parameters, {100 * train(net):.0f} % of the training rows right")

# %%
grid = torch.linspace(-2, 2, 150)
plane = torch.cartesian_prod(grid, grid)
fig, panels = plt.subplots(1, 3, figsize=(9, 3.2), layout="constrained")
for ax, (name, net) in zip(panels, networks.items()):
    with torch.no_grad():
        value = torch.sigmoid(net(plane)[:, 0]).reshape(150, 150).T
    ax.imshow(value, origin="lower", extent=(-2, 2, -2, 2), cmap="RdBu_r", alpha=0.6)
    ax.scatter(x[:, 0], x[:, 1], s=4, c=["#B2182B" if label else "#2166AC" for label in y])
    title = ax.set_title(name)

# %% [markdown]
# ## An interpretation layer on a deep network
#
# A deep network reads images of digits and reports two numbers: how round the image is, say, and
# how steep: whatever helps. On top sits a `KAN` with one curve per feature and class. The curves
# can be read, and the last decision is exactly their sum.

# %%
digits = kanx.datasets.load_digits()
chosen = (digits.y == digits.y[0]) | (digits.y == digits.y[1])
pixels = torch.tensor(digits.X.to_numpy()[chosen], dtype=torch.float32) / 16
label = torch.tensor(digits.y[chosen].to_numpy() == digits.y[0], dtype=torch.float32)

body = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 3), nn.Tanh())
head = kanx.KAN([3, 1], edge="pade", random_state=0)  # tanh keeps its inputs in [-1, 1]
deep = nn.Sequential(body, head)
optimiser = torch.optim.Adam(deep.parameters(), lr=0.005)
for _ in range(150):
    optimiser.zero_grad()
    loss = nn.functional.binary_cross_entropy_with_logits(deep(pixels)[:, 0], label)
    loss.backward()
    optimiser.step()
right = ((deep(pixels)[:, 0] > 0) == (label > 0)).float().mean()
print(f"{100 * right:.1f} % right")

# %% [markdown]
# `kanx.explain` takes the head alone: its inputs are the deep features.

# %%
with torch.no_grad():
    features = body(pixels).double().numpy()
view = kanx.explain(head, {f"feature {k + 1}": features[:, k] for k in range(3)})
figure = view.plot()

# %% [markdown]
# The head has an exact formula: a sum of quotients of polynomials.

# %%
print(view.formula.latex(digits=2))
