//! What keeps a template that comes with a model file from crashing the program.
//!
//! Fuel bounds the work of a render. The deep stack of a [`thread`](super::thread) holds what a
//! template of [`MAX_SOURCE`] bytes can nest. Namespaces, the one thing that a loop can write to,
//! take no value that is deep or that contains a namespace: so nothing can grow by a level in each
//! turn of a loop, or contain itself.
//!
//! Memory is not bounded: a template can double a value again and again, level by level in its
//! source.

use std::borrow::Cow;

use minijinja::value::ValueKind;
use minijinja::{Error, ErrorKind, State, Value};

use super::TemplateError;

/// Longest template source, bytes. The longest in the wild have some 30,000.
pub(super) const MAX_SOURCE: usize = 128 * 1024;

/// Longest tag, bytes outside its strings. The engine folds constants in a time that is the square
/// of it.
pub(super) const MAX_TAG: usize = 4 * 1024;

/// Deepest value that a namespace takes. Messages in a list make three levels.
const MAX_DEPTH: usize = 16;

/// The filter that [`rewrite`] puts on every value assigned to a namespace.
pub(super) const STORABLE: &str = "packllm_storable";

/// The filter of [`STORABLE`]: the value itself, or an error if it is deep or holds a namespace.
pub(super) fn storable(state: &State, value: Value) -> Result<Value, Error> {
    let refuse = |why: &'static str| Err(Error::new(ErrorKind::InvalidOperation, why));
    let mut open = vec![(value.clone(), 0)];
    while let Some((value, depth)) = open.pop() {
        state.consume_fuel(1)?;
        if value
            .as_object()
            .is_some_and(|object| object.type_name().ends_with("::Namespace"))
        {
            return refuse("a namespace cannot hold a namespace");
        }
        if !matches!(
            value.kind(),
            ValueKind::Seq | ValueKind::Map | ValueKind::Iterable
        ) {
            continue;
        }
        if depth == MAX_DEPTH {
            return refuse("the value is nested too deeply for a namespace");
        }
        for item in value.try_iter()?.checked() {
            let item = item?;
            if value.kind() == ValueKind::Map {
                open.push((value.get_item(&item)?, depth + 1));
            }
            open.push((item, depth + 1));
        }
    }
    Ok(value)
}

/// The source as the engine takes it, line for line the same.
///
/// `{% generation %}` (Hugging Face's mark around what the assistant says) becomes `{% with %}`,
/// which prints its body just so. `{% set ns.x = value %}` has its value pass [`storable`]. A
/// string that goes on in the next line after a backslash is joined.
///
/// # Errors
/// [`TemplateError::Syntax`] when a tag is longer than [`MAX_TAG`].
pub(super) fn rewrite(source: &str) -> Result<String, TemplateError> {
    let mut out = String::with_capacity(source.len() + 64);
    let mut rest = source;
    while let Some(start) = next_tag(rest) {
        let close = match &rest[start..start + 2] {
            "{#" => "#}",
            "{{" => "}}",
            _ => "%}",
        };
        let (before, tag) = rest.split_at(start);
        out.push_str(before);
        // A tag that does not end is the engine's to report.
        let Some((end, size)) = tag_end(tag, close) else {
            rest = tag;
            break;
        };
        if size > MAX_TAG {
            let line = 1 + source[..source.len() - tag.len()].matches('\n').count();
            let message = format!("a tag has {size} bytes outside strings, more than {MAX_TAG}");
            return Err(TemplateError::Syntax { line, message });
        }
        match close {
            "%}" => push_statement(&mut out, &joined(&tag[2..end])),
            "}}" => out.extend(["{{", &joined(&tag[2..end]), "}}"]),
            _ => out.push_str(&tag[..end + 2]),
        }
        rest = &tag[end + 2..];
        if close == "%}" && words(&tag[2..end]) == "raw" {
            let raw_end = raw_end(rest);
            out.push_str(&rest[..raw_end]);
            rest = &rest[raw_end..];
        }
    }
    out.push_str(rest);
    Ok(out)
}

/// Where the first tag or comment opens.
fn next_tag(text: &str) -> Option<usize> {
    text.as_bytes()
        .windows(2)
        .position(|pair| matches!(pair, b"{%" | b"{{" | b"{#"))
}

/// Where `close` begins in a tag, outside its strings and braces, and how many bytes of it are
/// outside strings. Comments count as nothing.
fn tag_end(tag: &str, close: &str) -> Option<(usize, usize)> {
    if close == "#}" {
        return tag.get(2..)?.find(close).map(|at| (at + 2, 0));
    }
    let bytes = tag.as_bytes();
    let (mut quote, mut braces, mut size, mut at) = (None, 0usize, 0, 2);
    while at < bytes.len() {
        let byte = bytes[at];
        match quote {
            Some(_) if byte == b'\\' => at += 1,
            Some(open) if byte == open => quote = None,
            Some(_) => {}
            None if braces == 0 && bytes[at..].starts_with(close.as_bytes()) => {
                return Some((at, size));
            }
            None => {
                size += 1;
                match byte {
                    b'\'' | b'"' => quote = Some(byte),
                    b'{' => braces += 1,
                    b'}' => braces = braces.saturating_sub(1),
                    _ => {}
                }
            }
        }
        at += 1;
    }
    None
}

/// Where the tag that ends a raw block opens; the end of the text if there is none.
fn raw_end(text: &str) -> usize {
    text.match_indices("{%")
        .find(|(at, _)| {
            let inner = text[at + 2..].split("%}").next().unwrap_or_default();
            words(inner) == "endraw"
        })
        .map_or(text.len(), |(at, _)| at)
}

/// A statement without its white space control.
fn words(inner: &str) -> &str {
    let inner = inner.strip_prefix(['-', '+']).unwrap_or(inner);
    inner.strip_suffix(['-', '+']).unwrap_or(inner).trim()
}

/// The inside of a tag with its strings in one line each. The line feeds move to the end of the
/// tag.
fn joined(inner: &str) -> Cow<'_, str> {
    if !inner.contains("\\\n") {
        return Cow::Borrowed(inner);
    }
    let (mut out, mut quote, mut moved) = (String::new(), None, 0);
    let mut chars = inner.chars();
    while let Some(char) = chars.next() {
        match (quote, char) {
            (Some(_), '\\') => match chars.next() {
                Some('\n') => moved += 1,
                next => out.extend([char].into_iter().chain(next)),
            },
            (Some(open), _) if char == open => {
                quote = None;
                out.push(char);
            }
            (None, '\'' | '"') => {
                quote = Some(char);
                out.push(char);
            }
            _ => out.push(char),
        }
    }
    let end = out.strip_suffix(['-', '+']).unwrap_or(&out).len();
    out.insert_str(end, &"\n".repeat(moved));
    Cow::Owned(out)
}

/// Writes the statement that stands between `{%` and `%}`, changed where [`rewrite`] says.
fn push_statement(out: &mut String, inner: &str) {
    let statement = words(inner);
    let (head, tail) = inner.split_once(statement).unwrap_or((inner, ""));
    out.push_str("{%");
    out.push_str(head);
    match statement {
        "generation" => out.push_str("with"),
        "endgeneration" => out.push_str("endwith"),
        _ => match namespace_assignment(statement) {
            Some((target, value)) => {
                out.push_str(target);
                out.push_str("= (");
                out.push_str(value);
                out.push_str(")|");
                out.push_str(STORABLE);
                out.push(' ');
            }
            None => out.push_str(statement),
        },
    }
    out.push_str(tail);
    out.push_str("%}");
}

/// Splits `set ns.x = value` at the sign.
fn namespace_assignment(statement: &str) -> Option<(&str, &str)> {
    let (target, value) = statement.split_once('=')?;
    let names = target.strip_prefix("set")?;
    let is_name =
        |c: char| c.is_alphanumeric() || c.is_whitespace() || matches!(c, '.' | '_' | ',');
    let is_namespace = names.starts_with(char::is_whitespace) && names.contains('.');
    (is_namespace && names.chars().all(is_name)).then_some((target, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generation_blocks_become_transparent() {
        assert_eq!(
            rewrite("a{%- generation -%}b{% endgeneration +%}c").as_deref(),
            Ok("a{%- with -%}b{% endwith +%}c")
        );
    }

    #[test]
    fn namespace_assignments_are_checked_and_others_are_not() {
        assert_eq!(
            rewrite("{%- set ns.a = 'x %} =' if y else b, c -%}\n{% set d = e.f %}").as_deref(),
            Ok(
                "{%- set ns.a = ( 'x %} =' if y else b, c)|packllm_storable  -%}\n{% set d = e.f %}"
            )
        );
    }

    #[test]
    fn strings_over_several_lines_are_joined_and_lines_stay_where_they_are() {
        assert_eq!(
            rewrite("{%- set a = 'x\\\ny' ~ \"\\\\\\\nz\" -%}{{ 'b\\\n' }}").as_deref(),
            Ok("{%- set a = 'xy' ~ \"\\\\z\" \n\n-%}{{ 'b' \n}}")
        );
        for source in ["a\\\nb", "{# '\\\n' #}", "{{ a \\\n }}"] {
            assert_eq!(rewrite(source).as_deref(), Ok(source));
        }
    }

    #[test]
    fn strings_comments_expressions_and_raw_blocks_are_left_alone() {
        for source in [
            "{{ '{% generation %}' }}",
            "{# {% generation %} #}",
            "{{ {'a': {'b': '}}'}} }}{{ \"\\\"{% generation %}\" }}",
            "{% raw %}{% generation %}{{ {% endraw %}",
            "{% raw %}{% generation %}",
            "{% if '{% generation %}' %}",
            "{% set x | f(a.b=1) %}{% endset %}",
            "{% open",
            "{{ 'open }}",
            "{",
            "",
            "{%%}{{}}{#}",
            "é{%é",
        ] {
            assert_eq!(rewrite(source).as_deref(), Ok(source));
        }
    }
}
