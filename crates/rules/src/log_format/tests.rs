//! Lines recorded from HAProxy 2.6.12 (`tests/vectors/record_logs.py`), written again from the raw values that each
//! line carries behind its `|`.
