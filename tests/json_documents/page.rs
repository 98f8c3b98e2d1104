//! The tables of `docs/json.md`, and how a document is checked against them.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

const PAGE: &str = include_str!("../../docs/json.md");

/// The tables by their headings, without back quotes.
pub struct Page {
    tables: BTreeMap<&'static str, Vec<Field>>,
}

/// A row.
struct Field {
    /// Such as `members[].name`.
    path: &'static str,
    kind: &'static str,
    /// Whether it may be missing.
    optional: bool,
}

/// Which fields of the page were seen, and what was wrong.
#[derive(Default)]
pub struct Findings {
    seen: BTreeSet<(&'static str, &'static str)>,
    wrong: BTreeSet<String>,
}

impl Page {
    pub fn read() -> Page {
        let mut tables: BTreeMap<_, Vec<Field>> = BTreeMap::new();
        let mut heading = "";
        for line in PAGE.lines() {
            if let Some(title) = line.trim_start_matches('#').strip_prefix(' ')
                && line.starts_with("##")
            {
                heading = title.trim_matches('`');
            }
            let Some(row) = line.strip_prefix("| `") else {
                continue;
            };
            let cells: Vec<&str> = row.split(" | ").collect();
            let [path, kind, there, _] = cells[..] else {
                panic!("not four cells: {line}");
            };
            tables.entry(heading).or_default().push(Field {
                path: path.trim_matches('`'),
                kind,
                optional: there != "always",
            });
        }
        Page { tables }
    }

    /// Checks a document against the table under a heading.
    pub fn check(&self, heading: &'static str, document: &Value, findings: &mut Findings) {
        self.object(heading, "", document, findings);
    }

    /// Fails if something was wrong, or if a field under `headings`, or of the shapes they name,
    /// was never seen.
    pub fn settle(&self, headings: &[&'static str], mut findings: Findings) {
        for &heading in headings {
            for field in &self.tables[heading] {
                if !findings.seen.contains(&(heading, field.path)) {
                    let name = format!("{heading}: `{}` was in no document", field.path);
                    findings.wrong.insert(name);
                }
            }
        }
        let wrong: Vec<String> = findings.wrong.into_iter().collect();
        assert!(
            wrong.is_empty(),
            "docs/json.md and the program differ:\n{}",
            wrong.join("\n")
        );
    }

    /// The fields of one object: `prefix` is its path in the table, with a dot where it has one.
    fn object(&self, heading: &'static str, prefix: &str, value: &Value, findings: &mut Findings) {
        let Some(object) = value.as_object() else {
            let wrong = format!("{heading}: {prefix} is no object: {value}");
            findings.wrong.insert(wrong);
            return;
        };
        let table = &self.tables[heading];
        for (key, value) in object {
            let path = format!("{prefix}{key}");
            match table.iter().find(|field| field.path == path) {
                Some(field) => {
                    findings.seen.insert((heading, field.path));
                    if !self.is(heading, field.path, field.kind, value, findings) {
                        let wrong = format!("{heading}: `{path}` is no {}: {value}", field.kind);
                        findings.wrong.insert(wrong);
                    }
                }
                None => {
                    let wrong = format!("{heading}: `{path}` is not on the page");
                    findings.wrong.insert(wrong);
                }
            }
        }
        for field in table.iter().filter(|field| !field.optional) {
            let Some(name) = field.path.strip_prefix(prefix) else {
                continue;
            };
            if !name.contains(['.', '[']) && !object.contains_key(name) {
                let wrong = format!("{heading}: `{}` is missing", field.path);
                findings.wrong.insert(wrong);
            }
        }
    }

    /// Whether a value is of a type. Objects are checked inside as well, and what is wrong there is
    /// reported by itself.
    fn is(
        &self,
        heading: &'static str,
        path: &str,
        kind: &'static str,
        value: &Value,
        findings: &mut Findings,
    ) -> bool {
        let inside = |open: char, close: char| kind.strip_prefix(open)?.strip_suffix(close);
        if let Some(kind) = inside('[', ']') {
            let path = format!("{path}[]");
            return value.as_array().is_some_and(|values| {
                let mut values = values.iter();
                values.all(|value| self.is(heading, &path, kind, value, findings))
            });
        }
        if let Some(kind) = inside('{', '}') {
            return value.as_object().is_some_and(|object| {
                let mut values = object.values();
                values.all(|value| self.is(heading, path, kind, value, findings))
            });
        }
        if let Some((first, others)) = kind.split_once(" or ") {
            return self.is(heading, path, first, value, findings)
                || self.is(heading, path, others, value, findings);
        }
        match kind {
            "string" => value.is_string(),
            "boolean" => value.is_boolean(),
            "integer" => value.is_u64(),
            "number" => value.is_number(),
            "null" => value.is_null(),
            "object" => {
                let is = value.is_object();
                if is {
                    self.object(heading, &format!("{path}."), value, findings);
                }
                is
            }
            shape => {
                let (&shape, _) = self
                    .tables
                    .get_key_value(shape)
                    .unwrap_or_else(|| panic!("{heading}: no type `{shape}`"));
                let is = value.is_object();
                if is {
                    self.object(shape, "", value, findings);
                }
                is
            }
        }
    }
}
