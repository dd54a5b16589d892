//! Steps against the real tools and servers, beyond what the conformance cases tell.

mod copy;
mod delete;
mod file_write;
mod helm_template;
mod helm_update_chart;
mod kustomize_build;
mod structured;
mod tar;
mod template;
mod untar;
