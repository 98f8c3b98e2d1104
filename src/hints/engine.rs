//! Errors of the engine: members, prompts, parameters, templates, sessions.

use packllm_engine::backend::{BackendError, ContextTooLong};
use packllm_engine::chat::TemplateError;
use packllm_engine::chat::log::LogError;
use packllm_engine::engine::EngineError;
use packllm_engine::mix::MixError;
use packllm_engine::sample::{ParamError, StopError};
use packllm_engine::weight::{MethodError, WeightError};
use std::error::Error;

/// See [`super::words`]; None: the library's own words are used.
pub fn words(error: &(dyn Error + 'static)) -> Option<String> {
    if let Some(error) = error.downcast_ref() {
        return of_engine(error);
    }
    if let Some(error) = error.downcast_ref() {
        return of_backend(error);
    }
    if let Some(error) = error.downcast_ref() {
        return of_weights(error);
    }
    if let Some(error) = error.downcast_ref() {
        return of_mix(error);
    }
    if let Some(error) = error.downcast_ref::<ParamError>() {
        return of_parameter(error);
    }
    if let Some(error) = error.downcast_ref::<MethodError>() {
        return Some(format!("--weights: {error}"));
    }
    if let Some(error) = error.downcast_ref::<StopError>() {
        return Some(format!("--stop: {error}"));
    }
    if let Some(error @ LogError::Taken(_)) = error.downcast_ref() {
        return Some(format!("{error}: /save NAME gives this one another"));
    }
    None
}

fn of_engine(error: &EngineError) -> Option<String> {
    Some(match error {
        EngineError::Member { member, source } => format!("{member}: {}", super::words(source)),
        EngineError::NotIdentical(one, other) => format!(
            "--vocab tokens needs members with one vocabulary, and those of {one} and {other} differ"
        ),
        EngineError::NoReference => {
            "--vocab mined: no member's vocabulary has been made the reference yet (this is a bug)"
                .into()
        }
        EngineError::Reference(source) => format!("--reference: {}", super::words(source)),
        EngineError::UnreadableByReference { byte } => {
            format!("the --reference has no token for the byte 0x{byte:02x} of the text")
        }
        EngineError::Weight(error) => super::words(error),
        EngineError::Mix(error) => super::words(error),
        EngineError::Parameter(error) => super::words(error),
        EngineError::Stop(error) => super::words(error),
        _ => return None,
    })
}

fn of_backend(error: &BackendError) -> Option<String> {
    match error {
        BackendError::Load { path, fault } => {
            Some(format!("{}: {}", path.display(), super::words(&**fault)))
        }
        BackendError::NotANumber => Some(format!("{error} (check its sha256)")),
        _ => None,
    }
}

fn of_weights(error: &WeightError) -> Option<String> {
    Some(match error {
        WeightError::Tau(tau) => format!("--tau must be above 0, not {tau}"),
        WeightError::PriorBytes(n) => {
            format!("--prior-bytes must be a number of at least 0, not {n}")
        }
        WeightError::Rate(rate) => format!("--rate must be a number of at least 0, not {rate}"),
        WeightError::Prior => {
            "`prior` of the members: numbers of at least 0 with a positive, finite \
                               sum are needed"
                .into()
        }
        WeightError::Mix(error) => super::words(error),
        _ => return None,
    })
}

fn of_mix(error: &MixError) -> Option<String> {
    Some(match error {
        MixError::UnknownMix(name) => {
            format!("--mix: unknown value \"{name}\", expected log or linear")
        }
        MixError::Floor(floor) => format!("--floor must be at least 0 and below 1, not {floor}"),
        _ => return None,
    })
}

fn of_parameter(error: &ParamError) -> Option<String> {
    Some(match error {
        ParamError::Temperature(t) => {
            format!("--temp must be a finite number (0 takes the likeliest symbol), not {t}")
        }
        ParamError::TopP(p) => format!("--top-p must be from 0 to 1 (1 is off), not {p}"),
        ParamError::MinP(p) => format!("--min-p must be from 0 to 1 (0 is off), not {p}"),
        ParamError::RepeatPenalty(p) => {
            format!("--repeat-penalty must be a finite number above 0 (1 is off), not {p}")
        }
        _ => return None,
    })
}

/// See [`super::hint`].
pub fn hint(error: &(dyn Error + 'static)) -> Option<String> {
    if let Some(error) = error.downcast_ref::<EngineError>() {
        return of_a_pack(error);
    }
    match error.downcast_ref::<BackendError>() {
        Some(BackendError::Load { fault, .. }) => return super::hint(&**fault),
        Some(BackendError::NoSequence) => {
            let text = "the exact cover (--epsilon 0) needs more heads than there are; use a small --epsilon \
                        such as 0.001";
            return Some(text.into());
        }
        Some(BackendError::Lost { .. }) => {
            let text = "once that machine lends again, the next message loads the member anew; with --on-loss drop \
                        the others go on";
            return Some(text.into());
        }
        _ => {}
    }
    if let Some(ContextTooLong { trained, .. }) = error.downcast_ref() {
        return Some(format!("use -c {trained} or less"));
    }
    let hint = match error.downcast_ref::<TemplateError>()? {
        TemplateError::Raised { .. } => {
            "change the conversation, or set chat_template in the pack manifest to a template that takes it"
        }
        _ => {
            "set chat_template (or chat_template_file) in the pack manifest to a template that works, or do \
             without templates by `packllm run --raw`"
        }
    };
    Some(hint.into())
}

fn of_a_pack(error: &EngineError) -> Option<String> {
    let hint = match error {
        EngineError::Member { source, .. } => return super::hint(source),
        EngineError::TooLong { .. } => {
            "use a shorter prompt, or a larger -c if the model allows it"
        }
        EngineError::NotIdentical(..) => "use --vocab bytes (or auto)",
        EngineError::Empty { .. } => "give some text to go on from",
        _ => return None,
    };
    Some(hint.into())
}
