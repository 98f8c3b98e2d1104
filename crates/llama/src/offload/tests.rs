//! What is asked for, against made-up devices.

use super::*;

fn device(index: usize, name: &str, gpu: bool, integrated: bool) -> Device {
    Device {
        index,
        name: name.into(),
        description: String::new(),
        backend: String::new(),
        memory_total: 0,
        memory_free: 0,
        gpu,
        integrated,
        host: None,
    }
}

#[test]
fn a_gpu_that_is_not_there_is_an_error_never_the_cpu() {
    let cpu = [device(0, "CPU", false, false)];
    let asked = |layers, devices: &[&str]| Offload {
        layers,
        devices: devices.iter().map(|&d| d.to_owned()).collect(),
        ..Offload::default()
    };
    assert!(
        asked(Some(1), &[])
            .resolve_among(&cpu, &[])
            .unwrap_err()
            .to_string()
            .contains("no GPU backend")
    );
    assert!(
        asked(Some(1), &[])
            .resolve_among(&cpu, &["cuda"])
            .unwrap_err()
            .to_string()
            .contains("no GPU was found")
    );
    assert!(asked(None, &["CUDA0"]).resolve_among(&cpu, &[]).is_err());
    assert!(asked(Some(3), &["none"]).resolve_among(&cpu, &[]).is_err());
    let free = asked(None, &[]).resolve_among(&cpu, &[]).unwrap();
    assert_eq!(
        free,
        Placed {
            layers: 0,
            devices: vec![]
        }
    );
}

#[test]
fn discrete_gpus_come_before_integrated_ones() {
    let all = [
        device(0, "CUDA0", true, false),
        device(1, "Vulkan0", true, true),
        device(2, "CPU", false, false),
    ];
    let placed = Offload::default().resolve_among(&all, &["cuda"]).unwrap();
    assert_eq!(
        placed,
        Placed {
            layers: -1,
            devices: vec![0]
        }
    );
    let named = Offload {
        devices: vec!["vulkan0".into()],
        layers: Some(5),
        ..Offload::default()
    };
    assert_eq!(
        named.resolve_among(&all, &[]).unwrap(),
        Placed {
            layers: 5,
            devices: vec![1]
        }
    );
    let typo = Offload {
        devices: vec!["CUDA1".into()],
        ..Offload::default()
    };
    let error = typo.resolve_among(&all, &[]).unwrap_err();
    assert!(
        matches!(&error, OffloadError::NoSuchDevice { gpus, .. } if gpus.contains(&"CUDA0".into()))
    );
}
