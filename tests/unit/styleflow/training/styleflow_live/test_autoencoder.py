"""The auto-encoder takes the published files and nothing else, and keeps pictures' size."""

import numpy as np
import pytest
import safetensors.torch
import torch

from styleflow.errors import WeightsUnusable
from styleflow.training.styleflow_live.autoencoder import DECODER, ENCODER, TinyAutoencoder
from tests.support.autoencoder import shapes_of, write_autoencoder
from tests.support.models import crops


def test_a_round_trip_keeps_the_size_and_draws_the_same_every_time(tmp_path):
    network = TinyAutoencoder(write_autoencoder(tmp_path))
    pictures = crops(3, 2).numpy()[:, :24, :32]
    back = network.round_trip(pictures)
    assert back.shape == pictures.shape
    assert back.dtype == np.uint8
    np.testing.assert_array_equal(back, network.round_trip(pictures))
    for one, alone in zip(back, pictures, strict=True):
        np.testing.assert_allclose(one.astype(int), network.round_trip(alone[None])[0], atol=1)


def test_latents_have_an_eighth_of_the_size_and_are_squashed(tmp_path):
    network = TinyAutoencoder(write_autoencoder(tmp_path))
    with torch.inference_mode():
        assert network.encoder(torch.zeros(1, 3, 32, 48)).shape == (1, 32, 4, 6)
        assert network.decoder[0](torch.tensor([1e3, -1e3, 0.0])).tolist() == [3.0, -3.0, 0.0]


def test_a_folder_without_the_files_or_with_others_is_named(tmp_path):
    with pytest.raises(WeightsUnusable, match="there is no"):
        TinyAutoencoder(tmp_path)
    folder = write_autoencoder(tmp_path / "two")
    (folder / DECODER).write_bytes(b"no tensors")
    with pytest.raises(WeightsUnusable, match="not what is published"):
        TinyAutoencoder(folder)
    tensors = safetensors.torch.load_file(folder / ENCODER)
    assert {name: tuple(t.shape) for name, t in tensors.items()} == shapes_of(ENCODER)
    del tensors["2.weight"]
    safetensors.torch.save_file(tensors, folder / ENCODER)
    with pytest.raises(WeightsUnusable, match=r"encoder\.safetensors is not what is published"):
        TinyAutoencoder(folder)
