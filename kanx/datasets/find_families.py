"""The families of functions in FIND, each drawn with random constants and written as text."""

from collections.abc import Callable

import numpy as np

_COMPOSABLE_SHARE = 0.15


def draw_family(rng: np.random.Generator) -> str:
    """Return a family as FIND draws it: 85 % single functions, otherwise a sum or a product."""
    if rng.uniform() < _COMPOSABLE_SHARE:
        return str(rng.choice(tuple(_COMPOSITIONS)))
    return str(rng.choice(tuple(_SINGLE)))


def draw_formula(family: str, rng: np.random.Generator) -> str:
    """Return the text of a random member of a family, a formula in x.

    Raises
    ------
    ValueError
        If the family is unknown.
    """
    if family in _COMPOSITIONS:
        first, second = (_PARTS[str(rng.choice(tuple(_PARTS)))](rng) for _ in range(2))
        return f"({first}) {_COMPOSITIONS[family]} ({second})"
    if family not in _SINGLE:
        raise ValueError(
            f"there is no family {family!r}; the families are {', '.join(list_find_families())}."
        )
    return _SINGLE[family](rng)


def list_find_families() -> tuple[str, ...]:
    """Return the names of the families that :func:`kanx.datasets.make_find` knows."""
    return (*_SINGLE, *_COMPOSITIONS)


def _size(rng: np.random.Generator, lower: float, upper: float) -> str:
    """Return a positive constant of three digits, drawn evenly on a logarithmic scale."""
    return f"{np.exp(rng.uniform(np.log(lower), np.log(upper))):.3g}"


def _signed(rng: np.random.Generator, lower: float, upper: float) -> str:
    """Return a constant of either sign, a negative one in parentheses."""
    size = _size(rng, lower, upper)
    return size if rng.uniform() < 0.5 else f"(-{size})"


def _place(rng: np.random.Generator) -> str:
    """Return a place well inside the grid, a negative one in parentheses."""
    return _in_parentheses(rng.uniform(-80, 80))


def _in_parentheses(value: float) -> str:
    text = f"{value:.3g}"
    return f"({text})" if value < 0 else text


def _linear(rng: np.random.Generator) -> str:
    return f"{_signed(rng, 0.1, 10)}*x + {_signed(rng, 1, 100)}"


def _polynomial(rng: np.random.Generator) -> str:
    # x is divided by 50, so that every degree matters on the grid
    degree = int(rng.integers(2, 6))
    terms = [f"{_signed(rng, 0.5, 5)}*(x/50)**{power}" for power in range(degree, 1, -1)]
    return " + ".join([*terms, f"{_signed(rng, 0.5, 5)}*(x/50)", _signed(rng, 0.5, 5)])


def _absolute(rng: np.random.Generator) -> str:
    return f"{_signed(rng, 0.1, 10)}*abs(x - {_place(rng)}) + {_signed(rng, 1, 100)}"


def _root(rng: np.random.Generator) -> str:
    power = rng.choice(("sqrt(x)", "x**(1/3)"))
    return f"{_signed(rng, 0.5, 10)}*{power} + {_signed(rng, 1, 10)}"


def _logarithm(rng: np.random.Generator) -> str:
    return f"{_signed(rng, 0.5, 10)}*log(x)/log({_size(rng, 1.5, 10)}) + {_signed(rng, 1, 10)}"


def _step(rng: np.random.Generator) -> str:
    return f"{_signed(rng, 0.5, 10)}*heaviside(x - {_place(rng)})"


def _relu(rng: np.random.Generator) -> str:
    return f"{_signed(rng, 0.1, 10)}*max(x - {_place(rng)}, 0)"


def _leaky_relu(rng: np.random.Generator) -> str:
    shift = _place(rng)
    leak = _size(rng, 0.01, 0.2)
    return f"{_signed(rng, 0.1, 10)}*max(x - {shift}, {leak}*(x - {shift}))"


def _tanh(rng: np.random.Generator) -> str:
    return f"{_signed(rng, 0.5, 10)}*tanh((x - {_place(rng)})/{_size(rng, 5, 50)})"


def _constant(rng: np.random.Generator) -> str:
    return _signed(rng, 0.5, 100)


def _wave(name: str) -> Callable[[np.random.Generator], str]:
    def draw(rng: np.random.Generator) -> str:
        angle = f"2*pi*x/{_size(rng, 20, 200)} + {_signed(rng, 0.1, 3)}"
        return f"{_signed(rng, 0.5, 10)}*{name}({angle})"

    return draw


def _reciprocal(rng: np.random.Generator) -> str:
    # the pole lies halfway between two points of the grid
    return f"{_signed(rng, 0.5, 10)}/(x - {_in_parentheses(int(rng.integers(-80, 80)))})"


def _gaussian(rng: np.random.Generator) -> str:
    return f"{_signed(rng, 0.5, 10)}*exp(-((x - {_place(rng)})/{_size(rng, 5, 50)})**2/2)"


def _rational(rng: np.random.Generator) -> str:
    # an even denominator has no pole
    numerator = f"{_signed(rng, 0.5, 5)}*(x/50) + {_signed(rng, 0.5, 5)}"
    denominator = f"1 + {_size(rng, 0.5, 5)}*(x/50)**2 + {_size(rng, 0.1, 1)}*(x/50)**4"
    return f"({numerator})/({denominator})"


def _rectangle(rng: np.random.Generator) -> str:
    left = rng.uniform(-100, 60)
    right = left + rng.uniform(10, 60)
    steps = [f"heaviside(x - {_in_parentheses(edge)})" for edge in (left, right)]
    return f"{_signed(rng, 0.5, 10)}*({steps[0]} - {steps[1]})"


def _square_wave(rng: np.random.Generator) -> str:
    return f"{_signed(rng, 0.5, 10)}*sign(sin(2*pi*x/{_size(rng, 20, 200)}))"


def _rounded(name: str) -> Callable[[np.random.Generator], str]:
    def draw(rng: np.random.Generator) -> str:
        return f"{_signed(rng, 0.5, 5)}*{name}(x/{_size(rng, 5, 50)})"

    return draw


_Draw = Callable[[np.random.Generator], str]

_SINGLE: dict[str, _Draw] = {
    "linear": _linear,
    "polynomial": _polynomial,
    "absolute": _absolute,
    "root": _root,
    "logarithm": _logarithm,
    "step": _step,
    "relu": _relu,
    "leaky_relu": _leaky_relu,
    "tanh": _tanh,
    "constant": _constant,
    "sine": _wave("sin"),
    "cosine": _wave("cos"),
    "reciprocal": _reciprocal,
    "gaussian": _gaussian,
    "rational": _rational,
    "rectangle": _rectangle,
    "square_wave": _square_wave,
}
_PARTS: dict[str, _Draw] = {
    "linear": _linear,
    "polynomial": _polynomial,
    "step": _step,
    "relu": _relu,
    "constant": _constant,
    "rectangle": _rectangle,
    "square_wave": _square_wave,
    "ceil": _rounded("ceil"),
    "floor": _rounded("floor"),
}
_COMPOSITIONS = {"sum": "+", "product": "*"}
