"""The checksum of weights: any change of a word, a number or a name changes it, and the layout does not."""

from __future__ import annotations

from dataclasses import replace

import torch

from apnet_fast.networks.checkpoint import Checkpoint
from apnet_fast.networks.checksum import CHECKSUM, content_sha256, labels_sha256

TEXTS = {"network": "v3", "origin": "words", "labels": "{}", "trained_on": "simulated"}


def checksum(checkpoint: Checkpoint) -> str:
    return content_sha256(TEXTS, checkpoint.state)


def test_order_and_memory_layout_do_not_count(small_checkpoint: Checkpoint) -> None:
    found = checksum(small_checkpoint)
    assert len(found) == 64
    turned = {key: value.clone() for key, value in reversed(small_checkpoint.state.items())}
    key = "linear_sequential.2.weight"
    turned[key] = turned[key].t().contiguous().t()
    assert not turned[key].is_contiguous()
    assert checksum(replace(small_checkpoint, state=turned)) == found
    for texts in (dict(reversed(TEXTS.items())), TEXTS | {CHECKSUM: "0"}):
        assert content_sha256(texts, small_checkpoint.state) == found


def test_every_tensor_counts_to_its_last_bit(small_checkpoint: Checkpoint) -> None:
    found = checksum(small_checkpoint)
    seen = {found}
    for key, value in small_checkpoint.state.items():
        changed = value.clone()
        changed.view(-1).view(torch.uint8)[-1] ^= 1
        seen.add(checksum(replace(small_checkpoint, state={**small_checkpoint.state, key: changed})))
    assert len(seen) == 1 + len(small_checkpoint.state)


def test_every_word_counts(small_checkpoint: Checkpoint) -> None:
    changes: list[dict[str, str]] = [TEXTS, TEXTS | {"more": ""}]
    for key in TEXTS:
        less = {other: text for other, text in TEXTS.items() if other != key}
        changes += [TEXTS | {key: TEXTS[key] + " "}, less, less | {key[:-1]: TEXTS[key]}]
    assert len({content_sha256(texts, small_checkpoint.state) for texts in changes}) == len(changes) == 14
    joined = {"network": "v3origin", "": "words"}
    assert content_sha256(joined, {}) != content_sha256({"network": "v3", "origin": "words"}, {})


def test_shapes_and_names_count(small_checkpoint: Checkpoint) -> None:
    found, state = checksum(small_checkpoint), small_checkpoint.state
    key, other = "res_blocks.0.bn1.bias", "res_blocks.0.bn1.weight"
    assert checksum(replace(small_checkpoint, state={**state, key: state[other], other: state[key]})) != found
    reshaped = state["linear_sequential.2.weight"].reshape(-1)
    assert checksum(replace(small_checkpoint, state={**state, "linear_sequential.2.weight": reshaped})) != found


def test_the_checksum_before_covers_what_labels_depend_on(small_checkpoint: Checkpoint) -> None:
    def before(checkpoint: Checkpoint) -> str:
        return labels_sha256(checkpoint.architecture, checkpoint.scaling, checkpoint.state)

    found = before(small_checkpoint)
    assert before(replace(small_checkpoint, origin="other words")) == found
    scaling = replace(small_checkpoint.scaling, mean=(3.2, 3.7, -0.2000001))
    assert before(replace(small_checkpoint, scaling=scaling)) != found
    smaller = replace(small_checkpoint.architecture, num_linear=3)
    assert before(replace(small_checkpoint, architecture=smaller)) != found
