"""The samplers that a sweep may name; `search` builds them. Their options are Optuna's, by Optuna's names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Literal

from pydantic import Field, model_validator

from cifar_tune.config.domains import ChoiceDomain, Domain
from cifar_tune.config.messages import Finding
from cifar_tune.schema import Count, Fraction, Positive, Strict


class Tpe(Strict):
    """Tree-structured Parzen estimator. Source: Bergstra et al. 2011; Watanabe 2023 (arXiv:2304.11127)."""

    name: Literal["tpe"] = "tpe"
    n_startup_trials: Count = 10
    """Random proposals before the model is used."""
    n_ei_candidates: Count = 24
    """Points drawn from the model of good trials, of which the most promising is proposed."""
    multivariate: bool = True
    """Models parameters together, not one by one."""
    group: bool = True
    """Models the parameters of each branch of a conditional space together; needs `multivariate`."""
    constant_liar: bool = True
    """Keeps away from trials that have no value yet, so that workers do not all try the same."""
    prior_weight: Positive | None = None
    """Of the even distribution among the kernels; null: Optuna's."""
    consider_magic_clip: bool | None = None
    """Keeps kernels from becoming too narrow; null: Optuna's."""
    consider_endpoints: bool | None = None
    """Counts the ends of a range as neighbours where kernels' widths are set; null: Optuna's."""

    @model_validator(mode="after")
    def _group_is_multivariate(self) -> Tpe:
        if self.group and not self.multivariate:
            raise ValueError("`group: true` needs `multivariate: true`; write `group: false`")
        return self


class Random(Strict):
    """Independent uniform draws."""

    name: Literal["random"] = "random"


class Gp(Strict):
    """Gaussian process with log expected improvement; for few, costly trials. Imports torch into the driver."""

    name: Literal["gp"] = "gp"
    n_startup_trials: Count = 10
    """Random proposals before the model is used."""
    deterministic_objective: bool = False
    """Takes the objective to be without noise."""


class CmaEs(Strict):
    """Covariance matrix adaptation. Source: Hansen 2016 (arXiv:1604.00772). Choices are drawn at random."""

    name: Literal["cmaes"] = "cmaes"
    n_startup_trials: Count = 1
    """Random proposals before the first generation."""
    sigma0: Positive | None = None
    """First standard deviation; null: a sixth of the narrowest range."""
    popsize: Annotated[int, Field(ge=2)] | None = None
    """Trials of a generation; null: 4 + 3 log(parameters)."""
    use_separable_cma: bool = False
    """Adapts the variances only."""
    with_margin: bool = False
    """Keeps whole numbers from freezing. Source: Hamano et al. 2022 (arXiv:2205.13482)."""
    lr_adapt: bool = False
    """Adapts the learning rate, for noisy objectives. Source: Nomura et al. 2023 (arXiv:2304.03473)."""

    @model_validator(mode="after")
    def _one_variant(self) -> CmaEs:
        chosen = [name for name in ("use_separable_cma", "with_margin", "lr_adapt") if getattr(self, name)]
        if len(chosen) > 1:
            raise ValueError(f"{' and '.join(f'`{name}`' for name in chosen)} exclude each other; keep one")
        return self


class Qmc(Strict):
    """A low-discrepancy sequence, more even than chance. Source: Bergstra and Bengio 2012 (JMLR 13)."""

    name: Literal["qmc"] = "qmc"
    qmc_type: Literal["sobol", "halton"] = "sobol"
    scramble: bool = True
    """Randomises the sequence by the sweep's seed."""


PARENTS = {"uniform": 2, "blxalpha": 2, "spx": 3, "sbx": 2, "vsbx": 2, "undx": 3}
"""How many trials a crossover mixes. Source: Optuna's `nsgaii` crossovers, `n_parents`."""


class Nsga2(Strict):
    """A genetic algorithm, for many trials. Source: Deb et al. 2002 (doi:10.1109/4235.996017)."""

    name: Literal["nsga2"] = "nsga2"
    population_size: Annotated[int, Field(ge=2)] = 50
    """Trials of a generation."""
    mutation_prob: Fraction | None = None
    """Of each parameter; null: one in a trial."""
    crossover_prob: Fraction = 0.9
    """Of a trial to have two parents."""
    swapping_prob: Fraction = 0.5
    """Of each parameter to come from the other parent, where `crossover` is uniform."""
    crossover: Literal["uniform", "blxalpha", "spx", "sbx", "vsbx", "undx"] = "uniform"
    """How two trials, of spx and undx three, are mixed; choices are always taken from one of them."""
    mutation: Literal["polynomial"] | None = None
    """How a number is changed; null: drawn anew. Choices are always drawn anew."""

    @model_validator(mode="after")
    def _enough_parents(self) -> Nsga2:
        if self.population_size < (parents := PARENTS[self.crossover]):
            raise ValueError(
                f"`crossover: {self.crossover}` mixes {parents} trials; `population_size` must be at least {parents}"
            )
        return self


AnySampler = Annotated[Tpe | Random | Gp | CmaEs | Qmc | Nsga2, Field(discriminator="name")]


def sampler_findings(sampler: AnySampler, search: Mapping[str, Domain]) -> Iterator[Finding]:
    """Yields what of a sampler's options does not suit the search space."""
    choices = (domain for domain in search.values() if isinstance(domain, ChoiceDomain))
    is_conditional = any(option.domains for choice in choices for option in choice.options.values())
    if isinstance(sampler, CmaEs) and sampler.with_margin and is_conditional:
        # Optuna 5.0 then tells the optimizer points of unlike dimensions, which raises.
        message = (
            "does not work where an option of a choice has ranges of its own; leave it out, or search each in turn"
        )
        yield Finding(("sampler", "with_margin"), message, at_key=True)
