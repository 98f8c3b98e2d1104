//! What a user reads of the libraries' errors.

use super::{hint, words};
use packllm_client::{ClientError, Refused};
use packllm_engine::backend::{BackendError, ContextTooLong};
use packllm_engine::chat::TemplateError;
use packllm_engine::chat::log::LogError;
use packllm_engine::engine::EngineError;
use packllm_engine::gguf::{Fault, Foreign, GgufError};
use packllm_engine::mix::{Mix, MixError};
use packllm_engine::sample::{ParamError, StopError};
use packllm_engine::weight::{Method, WeightError};
use packllm_eval::{JournalError, ShotsError};
use packllm_llama::LoadError;
use packllm_llama::offload::{Offload, OffloadError};
use packllm_store::{SourceFailure, StoreError};
use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::sync::Arc;

/// The error as it comes from a member of a loaded pack.
fn loading(fault: LoadError) -> EngineError {
    let source = BackendError::Load {
        path: PathBuf::from("m.gguf"),
        fault: Arc::new(fault),
    };
    let member = "a".into();
    EngineError::Member { member, source }
}

#[test]
fn one_vocabulary_is_asked_for_by_its_flag() {
    let error = EngineError::NotIdentical("a".into(), "b".into());
    assert_eq!(
        words(&error),
        "--vocab tokens needs members with one vocabulary, and those of a and b differ"
    );
    assert_eq!(hint(&error).unwrap(), "use --vocab bytes (or auto)");
    let error = EngineError::UnreadableByReference { byte: 0xff };
    assert_eq!(
        words(&error),
        "the --reference has no token for the byte 0xff of the text"
    );
    let error = EngineError::Reference(BackendError::Refused("a text".into()));
    assert!(words(&error).starts_with("--reference: refused"));
}

#[test]
fn what_is_too_much_for_a_member_says_how_to_ask_for_less() {
    let error = EngineError::TooLong {
        member: "b".into(),
        tokens: 61,
        room: 56,
        context: 64,
    };
    assert_eq!(words(&error), error.to_string());
    assert!(hint(&error).unwrap().contains("larger -c"));
    let error = EngineError::Member {
        member: "b".into(),
        source: BackendError::NoSequence,
    };
    assert!(hint(&error).unwrap().contains("--epsilon"));
}

#[test]
fn parameters_out_of_range_name_their_flag() {
    for (error, flag) in [
        (ParamError::Temperature(f64::NAN), "--temp must"),
        (ParamError::TopP(1.5), "--top-p must"),
        (ParamError::MinP(-0.1), "--min-p must"),
        (ParamError::RepeatPenalty(0.0), "--repeat-penalty must"),
    ] {
        assert!(words(&error).starts_with(flag), "{error}");
        let told = words(&EngineError::Parameter(error.clone()));
        assert_eq!(told, words(&error));
    }
    let error = StopError::Empty { index: 1 };
    assert_eq!(words(&error), "--stop: stop string 2 is empty");
    let error = WeightError::Mix(MixError::Floor(1.5));
    assert_eq!(
        words(&EngineError::Weight(error)),
        "--floor must be at least 0 and below 1, not 1.5"
    );
    let error = WeightError::Tau(-1.0);
    assert_eq!(words(&error), "--tau must be above 0, not -1");
    let error = "cubic".parse::<Mix>().unwrap_err();
    assert_eq!(
        words(&error),
        "--mix: unknown value \"cubic\", expected log or linear"
    );
    let error = Method::parse("unifrom", &["a"]).unwrap_err();
    assert_eq!(
        words(&error),
        "--weights: unknown method \"unifrom\"; did you mean \"uniform\"?"
    );
}

#[test]
fn templates_and_sessions_have_a_way_out() {
    let raised = |message: &str| TemplateError::Raised {
        line: 1,
        message: message.into(),
    };
    assert!(hint(&raised("no")).unwrap().contains("chat_template"));
    let error = TemplateError::Engine {
        message: "no".into(),
    };
    assert!(hint(&error).unwrap().contains("packllm run --raw"));
    let error = LogError::Taken("s.jsonl".into());
    assert_eq!(
        words(&error),
        "s.jsonl: there is a session of this name by now: /save NAME gives this one another"
    );
}

#[test]
fn model_files_have_a_way_out() {
    assert_eq!(hint(&Fault::Empty).unwrap(), "download the file again");
    let zip = || Fault::Foreign(Foreign::Zip);
    let convert = "get a GGUF conversion of the model";
    assert_eq!(hint(&zip()).unwrap(), convert);
    assert_eq!(hint(&Fault::Version(9)), None);
    let error = GgufError {
        path: "m.gguf".into(),
        fault: Fault::Split {
            number: 1,
            count: 3,
        },
    };
    assert_eq!(
        words(&error),
        "m.gguf: part 1 of a model split into 3 files; merge them first (llama-gguf-split --merge)"
    );
    // However deep it is.
    let error = loading(LoadError::Header(zip()));
    assert_eq!(words(&error), error.to_string());
    assert_eq!(hint(&error).unwrap(), convert);
    let error = loading(LoadError::ContextTooLong(ContextTooLong {
        asked: 9000,
        trained: 2048,
    }));
    assert_eq!(
        words(&error),
        "a: m.gguf: a context of 9000 tokens was asked for, but it was trained with 2048"
    );
    assert_eq!(hint(&error).unwrap(), "use -c 2048 or less");
}

#[test]
fn devices_that_are_not_there_name_their_flags() {
    let both = Offload {
        layers: Some(3),
        devices: vec!["none".into()],
        ..Offload::default()
    };
    let error = loading(both.resolve().unwrap_err().into());
    assert_eq!(
        words(&error),
        "a: m.gguf: `-dev none` and GPU layers were both asked for"
    );
    assert_eq!(hint(&error).unwrap(), "drop one of -dev and -ngl");
    let shares = |shares, gpus| OffloadError::TooManyShares { shares, gpus };
    for (error, told) in [
        (
            shares(2, 1),
            "-ts names 2 shares, but there is 1 GPU device",
        ),
        (
            shares(3, 2),
            "-ts names 3 shares, but there are 2 GPU devices",
        ),
    ] {
        assert_eq!(words(&error), told);
    }
    let error = OffloadError::NoSuchDevice {
        device: "CUDA1".into(),
        gpus: vec!["CUDA0".into(), "CUDA2".into()],
    };
    assert_eq!(hint(&error).unwrap(), "there is: CUDA0, CUDA2");
}

#[test]
fn evaluations_name_their_flags() {
    let error = JournalError::Exists { file: "j".into() };
    assert_eq!(
        words(&error),
        "j is there already: --resume goes on with that run, or choose another --output"
    );
    let error = JournalError::Differs {
        file: "j".into(),
        key: "seed".into(),
        theirs: "1".into(),
        ours: "2".into(),
    };
    assert_eq!(
        words(&error),
        "j: that run has another seed: 1, not 2; use the same settings, or another --output"
    );
    let error = ShotsError {
        wanted: 5,
        found: 3,
        line: 7,
    };
    assert_eq!(
        words(&error),
        "--few-shot 5: there are 3 examples beside the question in line 7; give more in --shots-from"
    );
}

#[test]
fn the_store_has_a_way_out() {
    let io = |kind| StoreError::Io {
        action: "write",
        path: PathBuf::from("m"),
        source: io::Error::from(kind),
    };
    for kind in [ErrorKind::StorageFull, ErrorKind::PermissionDenied] {
        assert!(hint(&io(kind)).unwrap().contains("PACKLLM_HOME"));
    }
    let missing = || StoreError::PythonMissing {
        python: "/nowhere/python3".into(),
        reason: "no such file".into(),
    };
    assert!(hint(&missing()).unwrap().contains("install Python 3"));
    // The hint is about the first source that has one.
    let failed = |error| SourceFailure {
        source: "s".into(),
        error: Box::new(error),
    };
    let all = StoreError::AllSourcesFailed {
        file: "m.gguf".into(),
        failures: vec![failed(io(ErrorKind::Other)), failed(missing())],
    };
    assert_eq!(hint(&all), hint(&missing()));
    let damaged = StoreError::BadIndex {
        path: "index.json".into(),
        reason: "torn".into(),
    };
    let split = StoreError::Split {
        path: "m".into(),
        part: 1,
        of: 3,
    };
    assert!(hint(&damaged).is_some() && hint(&split).is_some());
}

#[test]
fn a_key_an_address_and_a_name_are_what_a_server_may_want() {
    let refused = |status| ClientError::Refused {
        address: "http://a".into(),
        refused: Box::new(Refused {
            status,
            message: "no".into(),
            ..Refused::default()
        }),
    };
    let says = |error: &ClientError, part: &str| hint(error).is_some_and(|h| h.contains(part));
    assert!(says(&refused(401), "PACKLLM_API_KEY") && says(&refused(401), "--api-key-file"));
    assert!(says(&refused(403), "--allow-host"));
    assert!(hint(&refused(400)).is_none());
    assert_eq!(words(&refused(401)), "http://a: no (status 401)");
    let unreachable = ClientError::Unreachable {
        address: "http://a".into(),
        why: "refused".into(),
    };
    assert!(says(&unreachable, "packllm serve"));
}
