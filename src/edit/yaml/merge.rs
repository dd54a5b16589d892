//! x
/// x
pub fn merge(){}
