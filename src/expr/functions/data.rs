//! ConfigMaps, Secrets, metadata, statuses.

use super::{Budget, Scope, Value, text_argument};

/// `configMap(name)`.
pub(super) fn config_map(arguments: &[Value], scope: &Scope<'_>, _: &Budget) -> Result<Value, String> {
    let name = text_argument("configMap", arguments, 0)?;
    Ok(Value::texts(scope.context.config_maps.get(name).into_iter().flatten().map(|(key, text)| (key.as_str(), text.as_str()))))
}

/// `sharedConfigMap(name)`.
pub(super) fn shared_config_map(arguments: &[Value], scope: &Scope<'_>, _: &Budget) -> Result<Value, String> {
    let name = text_argument("sharedConfigMap", arguments, 0)?;
    Ok(Value::texts(scope.context.shared_config_maps.get(name).into_iter().flatten().map(|(key, text)| (key.as_str(), text.as_str()))))
}

/// `secret(name)`.
pub(super) fn secret(arguments: &[Value], scope: &Scope<'_>, _: &Budget) -> Result<Value, String> {
    let name = text_argument("secret", arguments, 0)?;
    Ok(scope.context.secrets.read(name, &scope.context.revealed))
}

/// `sharedSecret(name)`: generic ones only.
pub(super) fn shared_secret(arguments: &[Value], scope: &Scope<'_>, _: &Budget) -> Result<Value, String> {
    let name = text_argument("sharedSecret", arguments, 0)?;
    Ok(scope.context.shared_secrets.read(name, &scope.context.revealed))
}

/// `freightMetadata(name)`: nil if there is none.
pub(super) fn freight_metadata(arguments: &[Value], scope: &Scope<'_>, _: &Budget) -> Result<Value, String> {
    let name = named("freightMetadata", "freight ref name", arguments)?;
    Ok(match scope.context.freight_status.get(name) {
        Some(status) if !status.metadata.is_empty() => Value::from_json(&serde_json::Value::Object(status.metadata.clone())),
        _ => Value::Nil,
    })
}

/// `freightStatus(name)`: the whole status by its JSON names.
pub(super) fn freight_status(arguments: &[Value], scope: &Scope<'_>, _: &Budget) -> Result<Value, String> {
    let name = named("freightStatus", "freight ref name", arguments)?;
    match scope.context.freight_status.get(name) {
        Some(status) => {
            let json = serde_json::to_value(status).map_err(|error| format!("the status of freight `{name}` cannot be read: {error}"))?;
            Ok(Value::from_json(&json))
        }
        None => Ok(Value::Nil),
    }
}

/// `stageMetadata(name)`: nil if there is none.
pub(super) fn stage_metadata(arguments: &[Value], scope: &Scope<'_>, _: &Budget) -> Result<Value, String> {
    let name = named("stageMetadata", "stage name", arguments)?;
    Ok(match scope.context.stage_metadata.get(name) {
        Some(metadata) if !metadata.is_empty() => Value::from_json(&serde_json::Value::Object(metadata.clone())),
        _ => Value::Nil,
    })
}

fn named<'a>(function: &str, what: &str, arguments: &'a [Value]) -> Result<&'a str, String> {
    match text_argument(function, arguments, 0)? {
        "" => Err(format!("{what} must not be empty to call `{function}`")),
        name => Ok(name),
    }
}

/// `status(alias)`: of a step in the caller's own namespace.
pub(super) fn status(arguments: &[Value], scope: &Scope<'_>, _: &Budget) -> Result<Value, String> {
    let alias = text_argument("status", arguments, 0)?;
    if alias.is_empty() {
        return Err("argument must not be empty to call `status`".into());
    }
    Ok(scope.context.status_of(alias).map_or("", crate::model::StepStatus::as_str).into())
}
