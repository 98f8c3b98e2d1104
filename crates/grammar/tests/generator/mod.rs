//! Schemas of the kinds that JSONSchemaBench has: flat and nested objects, enums, constants,
//! unions, arrays, patterns, formats, ranges of numbers, references.

use rand_pcg::rand_core::{Rng, SeedableRng};
use serde_json::{Map, Value, json};

const KEYS: [&str; 24] = [
    "id",
    "name",
    "kind",
    "price",
    "count",
    "tags",
    "owner",
    "city",
    "email",
    "active",
    "score",
    "items",
    "size",
    "colour",
    "date",
    "level",
    "parent",
    "notes",
    "ratio",
    "code",
    "größe",
    "first name",
    "x-y",
    "unit",
];
const WORDS: [&str; 12] = [
    "red", "green", "blue", "small", "large", "north", "south", "open", "closed", "bread", "café",
    "n/a",
];
const PATTERNS: [&str; 6] = [
    "^[A-Z]{2}-[0-9]{3}$",
    "^[a-z]+$",
    "^#[0-9a-f]{6}$",
    "^(yes|no|maybe)$",
    "^\\d{4}$",
    "^[A-Za-z][A-Za-z0-9_]{0,9}$",
];
const FORMATS: [&str; 3] = ["date", "uuid", "ipv4"];

/// Makes schemas, the same from the same seed.
struct Generator {
    random: rand_pcg::Pcg64,
    definitions: Map<String, Value>,
}

/// Schema number `n`.
pub fn schema(n: u64) -> Value {
    let random = rand_pcg::Pcg64::seed_from_u64(n);
    let mut generator = Generator {
        random,
        definitions: Map::new(),
    };
    let depth = 1 + n as usize % 3;
    let mut schema = match n % 8 {
        0 => generator.tagged_union(depth),
        1 => generator.array(depth),
        _ => generator.object(depth),
    };
    if !generator.definitions.is_empty() {
        schema["$defs"] = Value::Object(generator.definitions);
    }
    schema
}

impl Generator {
    fn below(&mut self, n: u64) -> u64 {
        self.random.next_u64() % n
    }

    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len() as u64) as usize]
    }

    fn any(&mut self, depth: usize) -> Value {
        match self.below(if depth == 0 { 7 } else { 12 }) {
            0 => json!({ "type": "boolean" }),
            1 | 2 => self.number(),
            3 => self.choice(),
            4..7 => self.string(),
            7 => self.object(depth - 1),
            8 => self.array(depth - 1),
            9 => self.union(depth - 1),
            10 => self.reference(depth - 1),
            _ => json!({ "type": ["string", "null"], "maxLength": 20 }),
        }
    }

    fn number(&mut self) -> Value {
        let low = self.below(50) as i64 - 25;
        let high = low + 1 + self.below(500) as i64;
        match self.below(4) {
            0 => json!({ "type": "integer", "minimum": low, "maximum": high }),
            1 => json!({ "type": "integer", "minimum": 0, "maximum": 1000, "multipleOf": 5 }),
            2 => json!({ "type": "number", "exclusiveMinimum": low, "maximum": high }),
            _ => json!({ "type": "integer", "minimum": 0, "exclusiveMaximum": high.abs() + 1 }),
        }
    }

    fn choice(&mut self) -> Value {
        let start = self.below(8) as usize;
        match self.below(3) {
            0 => json!({ "const": WORDS[start] }),
            1 => json!({ "enum": [WORDS[start], start, null, true] }),
            _ => json!({ "enum": WORDS[start..start + 4] }),
        }
    }

    fn string(&mut self) -> Value {
        match self.below(5) {
            0 => json!({ "type": "string", "pattern": self.one(&PATTERNS), "maxLength": 12 }),
            1 => json!({ "type": "string", "format": self.one(&FORMATS) }),
            2 => json!({ "type": "string", "minLength": 1, "maxLength": 8 }),
            _ => json!({ "type": "string", "maxLength": 16 + self.below(17) }),
        }
    }

    fn object(&mut self, depth: usize) -> Value {
        let (mut properties, mut required) = (Map::new(), Vec::new());
        for _ in 0..1 + self.below(4) {
            let key = self.one(&KEYS);
            let value = self.any(depth);
            properties.insert(key.into(), value);
            if self.below(4) > 0 && !required.contains(&key) {
                required.push(key);
            }
        }
        json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false })
    }

    fn array(&mut self, depth: usize) -> Value {
        let least = self.below(2);
        let items = self.any(depth);
        match self.below(4) {
            0 => {
                json!({ "type": "array", "prefixItems": [self.number(), items], "items": false, "minItems": 2 })
            }
            _ => {
                json!({ "type": "array", "items": items, "minItems": least, "maxItems": least + 2 })
            }
        }
    }

    fn union(&mut self, depth: usize) -> Value {
        let (one, other) = (self.any(depth), self.object(depth));
        json!({ "anyOf": [one, other, { "type": "null" }] })
    }

    /// Objects that a constant tells apart, as pydantic writes them.
    fn tagged_union(&mut self, depth: usize) -> Value {
        let options = ["circle", "square"].map(|tag| {
            let mut object = self.object(depth);
            object["properties"]["type"] = json!({ "const": tag });
            let required = object["required"].as_array_mut().unwrap();
            required.push(json!("type"));
            object
        });
        json!({ "oneOf": options })
    }

    fn reference(&mut self, depth: usize) -> Value {
        let name = format!("part{}", self.definitions.len());
        // Its place is taken before what it contains refers to others.
        self.definitions.insert(name.clone(), Value::Null);
        let definition = self.object(depth);
        self.definitions[&name] = definition;
        json!({ "$ref": format!("#/$defs/{name}") })
    }
}
