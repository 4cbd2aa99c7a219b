"""What a run says is a text for people, and knows how far the run is."""

from styleflow.training.loop import LoopSettings
from styleflow.training.progress import StepText, telling


def test_a_row_of_the_log_is_a_text_that_knows_its_place():
    said = []
    telling(said.append, "content", LoopSettings(40))(10, {"loss": 0.123456, "accuracy": 1.0})
    (text,) = said
    assert text == "content 10/40: loss 0.1235, accuracy 1"
    assert isinstance(text, StepText)
    assert (text.stage, text.step, text.steps) == ("content", 10, 40)


def test_it_is_a_text_to_whoever_only_prints():
    assert f"{StepText('style 1/2: loss 3', 'style', 1, 2):>20}" == "   style 1/2: loss 3"
