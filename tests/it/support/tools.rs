//! The real tools that tests run.

#![allow(clippy::print_stderr)]

use std::ffi::OsString;

use consign::promote::tools::Tools;

/// Folders with tools: those of `CONSIGN_TEST_TOOLS`, then those of PATH.
pub fn search_path() -> OsString {
    let own = std::env::var_os("CONSIGN_TEST_TOOLS").unwrap_or_default();
    let all = std::env::split_paths(&own).chain(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()).collect::<Vec<_>>());
    std::env::join_paths(all.filter(|folder| folder.is_absolute())).expect("folders of a path can be joined")
}

/// kustomize and helm. None: one is missing, and the test is skipped and says so; with `CI=true` that is a failure.
pub async fn available(test: &str) -> Option<Tools> {
    let tools = Tools::searching(search_path());
    for found in [tools.kustomize().await, tools.helm().await] {
        if let Err(failure) = found {
            assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "{test}: {}; {}", failure.message, failure.hints.join("; "));
            eprintln!("{test}: skipped, {}; put the tool on PATH or its folder into CONSIGN_TEST_TOOLS", failure.message);
            return None;
        }
    }
    Some(tools)
}
