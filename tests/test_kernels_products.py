"""Sums of products of pairs equal the plain matrix product, by the kernel and without it."""

import pytest
import torch

from kanx.kernels import products
from kanx.kernels.products import Pairs, add_products

SHAPES = {
    "one": (1, 1, 1),
    "within a tile": (7, 3, 5),
    "whole tiles": (256, 12, 32),
    "past the tiles": (301, 97, 131),
    "several depths": (1100, 50, 17),
}


@pytest.fixture(params=["kernel", "plain"])
def means(request, monkeypatch):
    if request.param == "plain":
        monkeypatch.setattr(products, "_library", lambda: None)
        monkeypatch.setattr(products, "NUMBERS", 2**12)  # several blocks of rows
        monkeypatch.setattr(products, "CHUNK", 32)
    elif products._library() is None:
        pytest.skip("there is no C++ compiler")
    monkeypatch.setattr(products, "_LEAST", 0)


def sides(rows, left, right, seed=0):
    generator = torch.Generator().manual_seed(seed)
    table = torch.randn(rows, 23, generator=generator, dtype=torch.float64)
    places = torch.randint(23, (4, left + right), generator=generator, dtype=torch.int32)
    own = Pairs(table[:, 2:], *(p[:left].clamp_max(20) for p in places[:2]))  # a view of a table
    return own, Pairs(table, *(p[left:].contiguous() for p in places[2:]))


def values(pairs):
    return pairs.table[:, pairs.first] * pairs.table[:, pairs.second]


@pytest.mark.parametrize("shape", SHAPES)
def test_adds_the_product(shape, means):
    left, right = sides(*SHAPES[shape])
    start = torch.randn(len(left.first), len(right.first) + 2, dtype=torch.float64)
    out = start.clone()
    add_products(out[:, 1:-1], left, right)  # rows that are further apart than they are long
    wanted = values(left).T @ values(right)
    torch.testing.assert_close(out[:, 1:-1] - start[:, 1:-1], wanted, rtol=1e-12, atol=1e-10)
    assert torch.equal(out[:, [0, -1]], start[:, [0, -1]])


@pytest.mark.parametrize("shape", SHAPES)
def test_a_triangle_is_enough(shape, means):
    rows, count, more = SHAPES[shape]
    _, right = sides(rows, 1, count + more)
    left = Pairs(right.table, right.first[:count], right.second[:count])
    out = torch.zeros(count, count + more, dtype=torch.float64)
    add_products(out, left, right, upper=True)
    wanted = values(left).T @ values(right)
    torch.testing.assert_close(out.triu(), wanted.triu(), rtol=1e-12, atol=1e-10)


def test_threads_share_the_work(means, monkeypatch):
    monkeypatch.setattr(products, "_GRAIN", 1)
    left, right = sides(300, 40, 61)
    alone, together = (torch.zeros(40, 61, dtype=torch.float64) for _ in range(2))
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        add_products(alone, left, right)
        torch.set_num_threads(3)
        add_products(together, left, right)
    finally:
        torch.set_num_threads(before)
    torch.testing.assert_close(together, alone, rtol=1e-13, atol=1e-11)


def test_many_equal_terms_do_not_add_up_their_rounding(means):
    table = torch.full((20_000, 1), 0.1, dtype=torch.float64)
    place = torch.zeros(1, dtype=torch.int32)
    out = torch.zeros(1, 1, dtype=torch.float64)
    add_products(out, Pairs(table, place, place), Pairs(table, place, place))
    assert out.item() == pytest.approx(2.0, rel=1e-11)
