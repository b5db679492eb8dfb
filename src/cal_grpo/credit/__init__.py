"""What is each token's advantage? Pure functions on numpy arrays."""

from cal_grpo.credit.baseline import Baseline, check_baseline
from cal_grpo.credit.corrections import Copies, Corrections, check_corrections
from cal_grpo.credit.formulas import FORMULAS, assign_credit, formula
from cal_grpo.credit.group import dr_grpo, group_relative, grpo, rloo, token_mask
from cal_grpo.credit.span import balanced, even, prefix
from cal_grpo.credit.sparse import construct_sparse_rewards, sparse
from cal_grpo.credit.trouble import Fallback, OnTrouble, check_on_trouble
from cal_grpo.credit.types import Batch, Compute, Formula, Weights, declares

__all__ = [
    "FORMULAS",
    "Baseline",
    "Batch",
    "Compute",
    "Copies",
    "Corrections",
    "Fallback",
    "Formula",
    "OnTrouble",
    "Weights",
    "assign_credit",
    "balanced",
    "check_baseline",
    "check_corrections",
    "check_on_trouble",
    "construct_sparse_rewards",
    "declares",
    "dr_grpo",
    "even",
    "formula",
    "group_relative",
    "grpo",
    "prefix",
    "rloo",
    "sparse",
    "token_mask",
]
