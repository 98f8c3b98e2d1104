//! Which part of a schema is not supported. The parser says what, and not where.

use serde_json::Value;

/// Keys whose value is a schema.
const ONE: [&str; 10] = [
    "items",
    "additionalItems",
    "additionalProperties",
    "unevaluatedProperties",
    "propertyNames",
    "contains",
    "not",
    "if",
    "then",
    "else",
];
/// Keys whose value is a list of schemas, or has a schema behind every key.
const MANY: [&str; 10] = [
    "properties",
    "patternProperties",
    "dependentSchemas",
    "$defs",
    "definitions",
    "prefixItems",
    "items",
    "anyOf",
    "oneOf",
    "allOf",
];
/// What other parts refer to.
const SHARED: [&str; 2] = ["$defs", "definitions"];

/// The path of the innermost part that fails, alone, with the words of the whole schema. `fails`
/// says why a schema is not supported, if it is not.
pub fn failure(schema: &Value, why: &str, fails: &dyn Fn(&Value) -> Option<String>) -> String {
    let mut path = String::from("#");
    let mut part = schema;
    'deeper: loop {
        for (step, inner) in parts(part) {
            if fails(&with_shared(inner, schema)).is_some_and(|inner| inner == why) {
                path.push_str(&step);
                part = inner;
                continue 'deeper;
            }
        }
        return path;
    }
}

/// The schemas directly inside one, each with the path to it.
fn parts(schema: &Value) -> Vec<(String, &Value)> {
    let mut parts = Vec::new();
    let one = ONE.iter().filter_map(|&key| Some((key, schema.get(key)?)));
    parts.extend(
        one.filter(|(_, inner)| inner.is_object())
            .map(|(key, inner)| (format!("/{key}"), inner)),
    );
    for (key, inner) in MANY.iter().filter_map(|&key| Some((key, schema.get(key)?))) {
        match inner {
            Value::Array(list) => {
                let list = list.iter().enumerate();
                parts.extend(list.map(|(i, inner)| (format!("/{key}/{i}"), inner)));
            }
            Value::Object(map) if key != "items" => {
                let escaped = |name: &str| name.replace('~', "~0").replace('/', "~1");
                let map = map.iter();
                parts.extend(map.map(|(name, inner)| (format!("/{key}/{}", escaped(name)), inner)));
            }
            _ => {}
        }
    }
    parts
}

/// A part as a whole schema: what it refers to is there.
fn with_shared(part: &Value, whole: &Value) -> Value {
    let mut part = part.clone();
    if let Value::Object(map) = &mut part {
        for key in SHARED {
            if let Some(shared) = whole.get(key).filter(|_| !map.contains_key(key)) {
                map.insert(key.into(), shared.clone());
            }
        }
    }
    part
}
