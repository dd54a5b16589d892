//! OCI registries and chart repositories.
