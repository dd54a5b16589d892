//! Every decision, and the reason for every "no". Pure.
