"""Strengths of penalties in the words of other libraries, and theirs in reglab's: `python -m reglab.convert`.

    from reglab.convert import convert
    convert("sklearn", {"C": 0.1}, examples=1437).strengths.l2
"""

from reglab.convert.base import Problem, Strengths, Words
from reglab.convert.conversion import Conversion, convert

__all__ = ["Conversion", "Problem", "Strengths", "Words", "convert"]
