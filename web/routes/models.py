"""`GET /api/v1/models`: the models that score streams here, and what was measured of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict

from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field

from stream.publish.encode import model_data
from stream.publish.schema import Model
from styleflow.cards import ModelCard
from styleflow.measured import measured
from web.problem_responses import documented_problems
from web.security.auth import Scope
from web.security.scopes import ScopeCheck


class MeasuredView(BaseModel):
    """One figure with its 95 % interval."""

    value: float
    low: float
    high: float


class KindFiguresView(BaseModel):
    """How well one kind of fake is told from all real clips."""

    kind: str
    fakes: int = Field(description="clips of this kind; few say little")
    auc: MeasuredView


class OtherFiguresView(BaseModel):
    """What an evaluation found on clips that chose nothing about the weights."""

    date: str
    precision: str = Field(description="what the networks were computed in, such as bfloat16")
    reals: int = Field(description="real clips")
    fakes: int = Field(description="fake clips")
    auc: MeasuredView = Field(description="share of pairs of a fake and a real clip ranked right")
    kinds: tuple[KindFiguresView, ...] = Field(description="by kind of fake, most clips first")


class FiguresView(BaseModel):
    """What an evaluation through the live engine found of a model's weights."""

    date: str
    precision: str = Field(description="what the networks were computed in, such as int8")
    chose: bool = Field(description="whether these clips had a part in choosing the weights")
    reals: int = Field(description="real clips")
    fakes: int = Field(description="fake clips, of generators that the model was not trained on")
    unscored: int = Field(description="clips that got no score")
    auc: MeasuredView = Field(description="share of pairs of a fake and a real clip ranked right")
    flagged_at_5: MeasuredView = Field(
        description="share of fakes above the threshold that flags 5 % of the real clips"
    )
    kinds: tuple[KindFiguresView, ...] = Field(description="by kind of fake, most clips first")
    once: OtherFiguresView | None = Field(
        description="of clips that were looked at once, when all was decided; null without them"
    )


class ModelFigures(BaseModel):
    """A model and what was measured of it."""

    model: Model
    figures: FiguresView | None = Field(description="null when its weights were not measured here")


class ModelList(BaseModel):
    """The models that score streams, the first one first."""

    models: tuple[ModelFigures, ...]


def routes(models: Callable[[], Sequence[ModelCard]], scopes: ScopeCheck) -> APIRouter:
    """Return the route.

    Args:
        models: tells which there are.
        scopes: checks what the caller may do.
    """
    router = APIRouter(prefix="/api/v1", tags=["models"])
    read = Depends(scopes.require(Scope.READ))

    @router.get("/models", dependencies=[read], responses=documented_problems(401, 403))
    async def list_models() -> ModelList:
        """List the models that score streams, with what was measured of each."""
        return ModelList(models=tuple(_view(card) for card in models()))

    return router


def _view(card: ModelCard) -> ModelFigures:
    found = measured(card.sha256)
    figures = None if found is None else FiguresView.model_validate(asdict(found))
    return ModelFigures(model=model_data(card), figures=figures)
