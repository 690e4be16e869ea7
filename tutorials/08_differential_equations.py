# %% [markdown]
# # Differential equations: physics-informed networks
#
# A `kanx.KAN` is a plain `torch.nn.Module`: autograd differentiates it as often as an equation
# needs. Smooth edges (Gaussian processes, polynomials, splines of degree 3 and more) have second
# derivatives.

# %%
import matplotlib.pyplot as plt
import torch

import kanx

torch.set_default_dtype(torch.float64)


def derivative(values, inputs):
    """Differentiate values by inputs, so that the result can be differentiated again."""
    return torch.autograd.grad(values.sum(), inputs, create_graph=True)[0]


# %% [markdown]
# ## A boundary-value problem
#
# $$u''(x) = -\pi^2 \sin(\pi x), \qquad u(-1) = u(1) = 0,$$
#
# with the solution $u = \sin \pi x$. The loss is the equation's residual plus the boundary values;
# L-BFGS, since the problem is small and smooth.

# %%
net = kanx.KAN([1, 1], edge="slaf", degree=12, random_state=0)
x = torch.linspace(-1, 1, 60)[:, None].requires_grad_()
ends = torch.tensor([[-1.0], [1.0]])


def residual():
    """Return the residual of the equation at the points."""
    slope = derivative(net(x), x)
    return derivative(slope, x) + torch.pi**2 * torch.sin(torch.pi * x)


optimiser = torch.optim.LBFGS(
    net.parameters(), max_iter=200, line_search_fn="strong_wolfe", tolerance_grad=1e-12
)


def loss():
    """Return the loss, after filling in the gradients."""
    optimiser.zero_grad()
    value = residual().square().mean() + 100 * net(ends).square().mean()
    value.backward()
    return value


final = optimiser.step(loss)
with torch.no_grad():
    error = (net(x) - torch.sin(torch.pi * x)).abs().max()
print(f"largest error of u: {error:.1e}")

# %% [markdown]
# The solution is a polynomial that can be written out.

# %%
view = kanx.explain(net, {"x": x.detach().numpy()[:, 0]})
print(view.formula.latex(digits=3))

# %% [markdown]
# ## The heat equation
#
# $$\partial_t u = 0.1\, \partial_{xx} u, \quad u(x, 0) = \sin \pi x, \quad u(\pm 1, t) = 0,$$
#
# solved on a whole space-time strip at once by a network with one hidden layer of Gaussian-process
# edges.

# %%
net = kanx.KAN([2, 5, 1], edge="gp", control_points=8, length_scale=2.0, random_state=0)
net.layers[0].set_domain(torch.tensor([-1.0, 0.0]), torch.tensor([1.0, 1.0]))

generator = torch.Generator().manual_seed(0)
inside = torch.rand(250, 2, generator=generator) * torch.tensor([2.0, 1.0]) - torch.tensor([1.0, 0])
inside.requires_grad_()
s = torch.linspace(-1, 1, 40)
start = torch.stack([s, torch.zeros(40)], 1)
walls = torch.cat([torch.stack([torch.full((40,), e), (s + 1) / 2], 1) for e in (-1.0, 1.0)])

optimiser = torch.optim.LBFGS(
    net.parameters(), max_iter=120, history_size=30, line_search_fn="strong_wolfe"
)


def loss():
    """Return the loss of the heat equation, after filling in the gradients."""
    optimiser.zero_grad()
    first = derivative(net(inside), inside)
    second = derivative(first[:, 0], inside)[:, 0]
    equation = (first[:, 1] - 0.1 * second).square().mean()
    initial = (net(start)[:, 0] - torch.sin(torch.pi * s)).square().mean()
    value = equation + 10 * initial + 10 * net(walls).square().mean()
    value.backward()
    return value


final = optimiser.step(loss)

# %%
fig, ax = plt.subplots(figsize=(5.5, 3.4), layout="constrained")
for time in (0.0, 0.25, 0.5, 1.0):
    at = torch.stack([s, torch.full((40,), time)], 1)
    exact = torch.exp(torch.tensor(-0.1 * torch.pi**2 * time)) * torch.sin(torch.pi * s)
    with torch.no_grad():
        u = net(at)[:, 0]
    line = ax.plot(s, u, label=f"t = {time:g}, error {(u - exact).abs().max():.0e}")
    ax.plot(s, exact, "k:", linewidth=1)
ax.set(xlabel="x", ylabel="u")
legend = ax.legend(frameon=False, fontsize=8)
