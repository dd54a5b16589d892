//! Freight: identity, alias, assembly, creation criteria. Pure.
