//! Reads the fields that matter from a JSON body.
//!
//! Architecture Invariant: an absent field and `null` are the same, another type is an error, and any other field is
//! harmless.

use serde_json::Value;

/// A field that is missing, or has the wrong type, by its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BadField(pub(super) &'static str);

/// Finds a field by its path, such as `channelData.tenant.id`. `None` if it or an object above it is absent.
pub(super) fn field<'a>(body: &'a Value, path: &'static str) -> Result<Option<&'a Value>, BadField> {
    let mut value = body;
    for name in path.split('.') {
        value = match value {
            Value::Object(fields) => fields.get(name).unwrap_or(&Value::Null),
            Value::Null => return Ok(None),
            _ => return Err(BadField(path)),
        };
    }
    Ok(Some(value).filter(|value| !value.is_null()))
}

/// Finds a text by its path.
pub(super) fn text<'a>(body: &'a Value, path: &'static str) -> Result<Option<&'a str>, BadField> {
    match field(body, path)? {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(BadField(path)),
    }
}

/// Finds a text that must be there and must not be empty.
pub(super) fn required(body: &Value, path: &'static str) -> Result<String, BadField> {
    match text(body, path)? {
        Some(text) if !text.is_empty() => Ok(text.to_owned()),
        _ => Err(BadField(path)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn absent_fields_differ_from_fields_of_the_wrong_type() {
        let body = json!({"from": {"id": "29:a", "name": null, "age": 7}, "value": null, "name": "", "list": []});
        assert_eq!(text(&body, "from.id"), Ok(Some("29:a")));
        for absent in ["from.name", "from.other", "value", "value.action.verb", "none.at.all"] {
            assert_eq!(text(&body, absent), Ok(None), "{absent}");
        }
        for wrong in ["from", "from.age", "from.id.more", "list.0", "list"] {
            assert_eq!(text(&body, wrong), Err(BadField(wrong)), "{wrong}");
        }
        assert_eq!(required(&body, "from.id"), Ok("29:a".to_owned()));
        assert_eq!(required(&body, "name"), Err(BadField("name")));
        assert_eq!(field(&json!([]), "type"), Err(BadField("type")));
    }
}
