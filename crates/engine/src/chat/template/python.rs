//! What templates expect of Python and of the Hugging Face libraries, for `minijinja`.

use chrono::NaiveDateTime;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Kwargs, ValueKind};
use minijinja::{Environment, Error, ErrorKind, State, Value};

use super::guard;

/// Deepest value that `tojson` writes.
const MAX_JSON_DEPTH: usize = 64;

/// Widest indent of `tojson`, columns.
const MAX_JSON_INDENT: usize = 16;

/// What `raise_exception` was given; the source of the error that it raises.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Raised(pub String);

/// An engine with these conventions, but `strftime_now`, which needs a time.
pub(super) fn environment() -> Result<Environment<'static>, Error> {
    let mut engine = Environment::new();
    engine.set_syntax(
        SyntaxConfig::builder()
            .trim_blocks(true)
            .lstrip_blocks(true)
            .build()?,
    );
    engine.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
    engine.set_unknown_method_callback(method);
    engine.remove_global("debug");
    engine.add_function(
        "raise_exception",
        |message: String| -> Result<Value, Error> {
            Err(Error::new(ErrorKind::InvalidOperation, "raised").with_source(Raised(message)))
        },
    );
    // The engine iterates over none, as over nothing; templates ask `tools is iterable` before they
    // count them.
    engine.add_test("iterable", |value: &Value| {
        !value.is_none() && value.try_iter().is_ok()
    });
    // As in Python, what has a length and takes an index: texts and mappings too.
    engine.add_test("sequence", |value: &Value| {
        let kind = value.kind();
        matches!(kind, ValueKind::String | ValueKind::Seq | ValueKind::Map)
    });
    engine.add_filter("tojson", to_json);
    engine.add_filter(guard::STORABLE, guard::storable);
    Ok(engine)
}

/// Python's methods. The widths in the format string of `str.format` cost fuel, which is taken
/// before they are filled.
fn method(state: &mut State, value: &Value, name: &str, args: &[Value]) -> Result<Value, Error> {
    if let ("format", Some(format)) = (name, value.as_str()) {
        let numbers = format
            .split(|c: char| !c.is_ascii_digit())
            .filter(|digits| !digits.is_empty());
        let width = numbers.fold(0, |sum: u64, digits| {
            sum.saturating_add(digits.parse().unwrap_or(u64::MAX))
        });
        state.consume_fuel(width / 64)?;
    }
    if let Some(result) = value.as_str().and_then(|text| cut(text, name, args)) {
        return Ok(result);
    }
    minijinja_contrib::pycompat::unknown_method_callback(state, value, name, args)
}

/// The methods of strings that `pycompat` does not have.
fn cut(text: &str, name: &str, args: &[Value]) -> Option<Value> {
    let part = args.first()?.as_str().filter(|part| !part.is_empty())?;
    match name {
        "removeprefix" => Some(text.strip_prefix(part).unwrap_or(text).into()),
        "removesuffix" => Some(text.strip_suffix(part).unwrap_or(text).into()),
        "rsplit" => {
            let most = args
                .get(1)
                .and_then(|most| usize::try_from(most.clone()).ok());
            let pieces = text.rsplitn(most.map_or(usize::MAX, |most| most.saturating_add(1)), part);
            let mut pieces: Vec<Value> = pieces.map(Value::from).collect();
            pieces.reverse();
            Some(Value::from(pieces))
        }
        _ => None,
    }
}

/// `datetime.now().strftime(format)`, at the time given.
pub(super) fn strftime(now: NaiveDateTime, format: &str) -> Result<String, Error> {
    use std::fmt::Write as _;
    let mut text = String::new();
    write!(text, "{}", now.format(format)).map_err(|_| {
        let message = format!("strftime_now does not know {format:?}");
        Error::new(ErrorKind::InvalidOperation, message)
    })?;
    Ok(text)
}

/// `json.dumps(value, ensure_ascii=False)`, with `indent` if one is given.
fn to_json(state: &State, value: &Value, kwargs: Kwargs) -> Result<String, Error> {
    let indent: Option<usize> = kwargs.get("indent")?;
    if kwargs.get::<Option<bool>>("ensure_ascii")? == Some(true) {
        return Err(Error::new(
            ErrorKind::InvalidOperation,
            "tojson only writes with ensure_ascii=false",
        ));
    }
    kwargs.assert_all_used()?;
    let indent = indent.map(|width| width.min(MAX_JSON_INDENT));
    let mut json = Json {
        state,
        out: String::new(),
        indent,
    };
    json.write(value, 0)?;
    Ok(json.out)
}

struct Json<'a> {
    state: &'a State<'a, 'a>,
    out: String,
    indent: Option<usize>,
}

impl Json<'_> {
    fn write(&mut self, value: &Value, depth: usize) -> Result<(), Error> {
        self.state.consume_fuel(1)?;
        if depth > MAX_JSON_DEPTH {
            return Err(Error::new(
                ErrorKind::InvalidOperation,
                "too deep for tojson",
            ));
        }
        match value.kind() {
            ValueKind::Undefined | ValueKind::None => self.out.push_str("null"),
            ValueKind::Bool => self
                .out
                .push_str(if value.is_true() { "true" } else { "false" }),
            ValueKind::Number => self.out.push_str(&value.to_string()),
            ValueKind::Map | ValueKind::Seq | ValueKind::Iterable => {
                self.container(value, depth)?
            }
            _ => self.string(&value.to_string())?,
        }
        Ok(())
    }

    fn container(&mut self, value: &Value, depth: usize) -> Result<(), Error> {
        let is_map = value.kind() == ValueKind::Map;
        self.out.push(if is_map { '{' } else { '[' });
        let mut is_empty = true;
        for item in value.try_iter()?.checked() {
            let item = item?;
            if !is_empty {
                self.out
                    .push_str(if self.indent.is_some() { "," } else { ", " });
            }
            is_empty = false;
            self.new_line(depth + 1);
            if is_map {
                self.string(&item.to_string())?;
                self.out.push_str(": ");
                self.write(&value.get_item(&item)?, depth + 1)?;
            } else {
                self.write(&item, depth + 1)?;
            }
        }
        if !is_empty {
            self.new_line(depth);
        }
        self.out.push(if is_map { '}' } else { ']' });
        Ok(())
    }

    fn new_line(&mut self, depth: usize) {
        if let Some(width) = self.indent {
            self.out.push('\n');
            self.out.extend(std::iter::repeat_n(' ', width * depth));
        }
    }

    fn string(&mut self, text: &str) -> Result<(), Error> {
        self.state.consume_fuel(text.len() as u64 / 64)?;
        let json = serde_json::to_string(text)
            .map_err(|error| Error::new(ErrorKind::BadSerialization, error.to_string()))?;
        self.out.push_str(&json);
        Ok(())
    }
}
