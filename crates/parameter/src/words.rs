//! Parameters whose values are a few words.

use super::kind::{Kind, Word};
use super::typed::{Misfit, Typed};
use super::value::Value;
use packllm_engine::vocab::Alphabet;

/// Declares an enumeration by the words that are typed for its variants.
macro_rules! words {
    ($(#[$about:meta])* $name:ident { $($(#[doc = $doc:literal])+ $variant:ident = $word:literal $(: $help:literal)?),+ $(,)? }) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name { $($(#[doc = $doc])+ $variant),+ }

        impl $name {
            const WORDS: &[Word] = &[$(words!(@word $word $(: $help)?)),+];

            /// As it is typed.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl Typed for $name {
            const KIND: Kind = Kind::Words(Self::WORDS);

            fn read(value: &Value) -> Result<Self, Misfit> {
                match value {
                    $(Value::Text(text) if text == $word => Ok(Self::$variant),)+
                    _ => Err(Misfit),
                }
            }

            fn value(&self) -> Value {
                Value::Text(self.name().into())
            }
        }
    };
    (@word $word:literal) => { Word::plain($word) };
    (@word $word:literal : $help:literal) => { Word { name: $word, help: Some($help) } };
}

words! {
    /// What members are mixed over.
    Vocab {
        /// Tokens if all vocabularies are identical, else bytes.
        Auto = "auto",
        /// Tokens of identical vocabularies.
        Tokens = "tokens",
        /// Bytes.
        Bytes = "bytes",
        /// Tokens of one vocabulary, the others mapped to it.
        Mined = "mined": "The vocabulary of the member with the lowest loss per token, the others mapped to it by edit \
                          distance: as published, for comparison",
    }
}

impl Vocab {
    /// The alphabet; None if the members decide.
    #[must_use]
    pub fn alphabet(self) -> Option<Alphabet> {
        match self {
            Vocab::Auto => None,
            Vocab::Tokens => Some(Alphabet::Tokens),
            Vocab::Bytes => Some(Alphabet::Bytes),
            Vocab::Mined => Some(Alphabet::Mapped),
        }
    }
}

words! {
    /// Whether flash attention is used.
    FlashAttention {
        /// Where it is faster.
        Auto = "auto",
        /// Always.
        On = "on",
        /// Never.
        Off = "off",
    }
}

impl FlashAttention {
    /// None: where it is faster.
    #[must_use]
    pub fn wanted(self) -> Option<bool> {
        match self {
            FlashAttention::Auto => None,
            FlashAttention::On => Some(true),
            FlashAttention::Off => Some(false),
        }
    }
}

words! {
    /// Element type of a KV cache.
    Cache {
        /// 32 bits.
        F32 = "f32",
        /// 16 bits.
        F16 = "f16",
        /// 8 bits in blocks.
        Q8_0 = "q8_0",
        /// 4 bits in blocks.
        Q4_0 = "q4_0",
    }
}

words! {
    /// Whether tokens are evaluated ahead.
    Draft {
        /// Where the text repeats itself.
        Auto = "auto",
        /// Never.
        Off = "off",
    }
}

words! {
    /// Whether an answer that goes in circles ends.
    RepeatStop {
        /// Answers end, and texts that are completed go on.
        Auto = "auto": "Answers end; with --raw the text goes on",
        /// It ends.
        On = "on",
        /// It goes on.
        Off = "off",
    }
}

impl RepeatStop {
    /// Whether a text ends, which is completed as it is if it is `raw`.
    #[must_use]
    pub fn ends(self, raw: bool) -> bool {
        match self {
            RepeatStop::Auto => !raw,
            RepeatStop::On => true,
            RepeatStop::Off => false,
        }
    }
}

words! {
    /// How a thought before an answer is shown.
    Think {
        /// As it comes.
        Show = "show",
        /// A line with its length.
        Fold = "fold",
        /// Not at all; templates are asked for none.
        Off = "off",
    }
}

words! {
    /// What a conversation does when the smallest context is full.
    Overflow {
        /// The oldest turns leave.
        Drop = "drop",
        /// It stops.
        Stop = "stop",
    }
}

words! {
    /// What becomes of an answer when a member's machine is lost.
    OnLoss {
        /// It ends.
        End = "end",
        /// The other members go on.
        Drop = "drop",
    }
}
