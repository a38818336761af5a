"""Batches: split, cut, joined, with their labels."""

from __future__ import annotations

import pytest
import torch

from ganvas.batch import Batch, joined


def batch(num: int, labelled: bool = True) -> Batch:
    images = torch.arange(float(num)).view(num, 1, 1, 1)
    return Batch(images, torch.arange(num) % 3 if labelled else None)


@pytest.mark.parametrize("labelled", [True, False])
@pytest.mark.parametrize(("num", "sizes"), [(6, [2, 2, 2]), (5, [2, 2, 1]), (2, [1, 1])])
def test_parts_are_as_equal_as_can_be_and_none_is_empty(
    num: int, sizes: list[int], labelled: bool
) -> None:
    parts = batch(num, labelled).split(3)
    assert [len(part) for part in parts] == sizes
    assert torch.equal(torch.cat([part.images for part in parts]), batch(num).images)
    for part in parts:
        if labelled:
            assert torch.equal(part.labels, part.images.view(-1).long() % 3)
        else:
            assert part.labels is None


def test_a_head_keeps_the_labels_of_its_images() -> None:
    head = batch(5).head(2)
    assert head.images.view(-1).tolist() == [0, 1] and head.labels.tolist() == [0, 1]
    assert batch(5, labelled=False).head(2).labels is None


def test_two_batches_as_one() -> None:
    both = joined(batch(2), batch(4))
    assert both.images.view(-1).tolist() == [0, 1, 0, 1, 2, 3]
    assert both.labels.tolist() == [0, 1, 0, 1, 2, 0]
    assert joined(batch(2, False), batch(4, False)).labels is None


def test_images_are_cut_off_from_what_made_them() -> None:
    made = Batch(torch.ones(2, 1, 1, 1, requires_grad=True) * 2, torch.zeros(2).long())
    assert made.detach().images.requires_grad is False
    leaf = made.with_gradient()
    assert leaf.images.is_leaf and leaf.images.requires_grad and leaf.labels is made.labels
