"""How all tests look for counterexamples to a property.

How long an example takes says more of the machine than of the code. The examples are the same in each run, so that a
change is judged by itself and not by its luck; `pytest --hypothesis-profile=search` looks further.
"""

from __future__ import annotations

from hypothesis import HealthCheck, settings

PATIENT = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("search", **PATIENT)
settings.register_profile("gate", **PATIENT, derandomize=True)
settings.load_profile("gate")
