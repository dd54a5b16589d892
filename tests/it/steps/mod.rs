//! Steps against the real tools and servers, beyond what the conformance cases tell.

mod helm_template;
mod helm_update_chart;
mod kustomize_build;
