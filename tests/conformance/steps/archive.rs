//! Archives as a case describes them.

use serde_json::Value;

/// How an archive that was written differs from the wanted one; None: not at all.
pub fn differs(_want: &Value, _got: &Value) -> Option<String> {
    Some("archives are not read yet".into())
}
