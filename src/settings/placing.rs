//! Which device takes which member, where nobody has said so: by free memory, the largest member
//! first, as its tokens cost most.

/// Left free on every device, for what drivers take and estimates miss: bytes.
const SPARE: u64 = 256 << 20;

/// A device with room for layers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Room {
    /// Bytes.
    pub free: u64,
    /// Whether it is of this machine: what a member says comes from others over a network.
    pub near: bool,
}

/// A member to place.
pub struct Wish<'a> {
    /// Its layers, the output among them.
    pub layers: u32,
    /// What so many of its layers take of a device: bytes.
    pub takes: &'a dyn Fn(u32) -> u64,
}

/// Where a member is placed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Place {
    /// The devices, by their indices; none: the CPU.
    pub devices: Vec<usize>,
    /// Layers on them.
    pub layers: u32,
}

impl Room {
    /// Room on a device of so much free memory.
    pub fn of(free: u64, near: bool) -> Self {
        Self {
            free: free.saturating_sub(SPARE),
            near,
        }
    }
}

/// Places the members, and takes from the rooms what they need. Each goes, in this order of
/// preference, to one device with room for all of it; to several that have it together; with as
/// many of its layers as fit to one device; to the CPU. Devices of this machine are preferred to
/// others, and roomy ones to full ones, so that members are spread and work at the same time.
pub fn place(wishes: &[Wish<'_>], rooms: &mut [Room]) -> Vec<Place> {
    let mut order: Vec<usize> = (0..wishes.len()).collect();
    order.sort_by_key(|&k| std::cmp::Reverse((wishes[k].takes)(wishes[k].layers)));
    let mut places = vec![Place::default(); wishes.len()];
    for k in order {
        let found = whole(&wishes[k], rooms)
            .or_else(|| together(&wishes[k], rooms))
            .or_else(|| partly(&wishes[k], rooms));
        if let Some(place) = found {
            take((wishes[k].takes)(place.layers), &place.devices, rooms);
            places[k] = place;
        }
    }
    places
}

/// Takes memory of several devices in proportion to what they have, as llama.cpp divides layers.
pub fn take(bytes: u64, of: &[usize], rooms: &mut [Room]) {
    let all: u128 = of.iter().map(|&d| u128::from(rooms[d].free)).sum();
    for &d in of {
        let free = u128::from(rooms[d].free);
        let share = (u128::from(bytes) * free).checked_div(all).unwrap_or(0);
        let share = u64::try_from(share).unwrap_or(u64::MAX);
        rooms[d].free = rooms[d].free.saturating_sub(share);
    }
}

/// Devices by preference.
fn preferred(rooms: &[Room]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..rooms.len()).collect();
    order.sort_by_key(|&d| std::cmp::Reverse((rooms[d].near, rooms[d].free)));
    order
}

fn whole(wish: &Wish<'_>, rooms: &[Room]) -> Option<Place> {
    let needs = (wish.takes)(wish.layers);
    let device = preferred(rooms)
        .into_iter()
        .find(|&d| rooms[d].free >= needs)?;
    Some(Place {
        devices: vec![device],
        layers: wish.layers,
    })
}

/// The fewest that have room for it together. Each of them may get a layer more than its share.
fn together(wish: &Wish<'_>, rooms: &[Room]) -> Option<Place> {
    let needs = (wish.takes)(wish.layers);
    let layer = needs / u64::from(wish.layers.max(1));
    let order = preferred(rooms);
    let devices = (2..=order.len()).map(|n| &order[..n]).find(|devices| {
        let free: u64 = devices
            .iter()
            .map(|&d| rooms[d].free.saturating_sub(layer))
            .sum();
        free >= needs
    })?;
    Some(Place {
        devices: devices.to_vec(),
        layers: wish.layers,
    })
}

fn partly(wish: &Wish<'_>, rooms: &[Room]) -> Option<Place> {
    let device = *preferred(rooms).first()?;
    let fits = |&layers: &u32| (wish.takes)(layers) <= rooms[device].free;
    let layers = (1..=wish.layers).rev().find(fits)?;
    Some(Place {
        devices: vec![device],
        layers,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    /// Rooms of so many GiB here and elsewhere.
    fn rooms(near: &[u64], far: &[u64]) -> Vec<Room> {
        let room = |near: bool| {
            move |&free: &u64| Room {
                free: free * GIB,
                near,
            }
        };
        near.iter()
            .map(room(true))
            .chain(far.iter().map(room(false)))
            .collect()
    }

    /// Members of ten layers of so many GiB in all.
    fn placed(sizes: &[u64], rooms: &mut [Room]) -> Vec<(Vec<usize>, u32)> {
        let takes: Vec<_> = sizes
            .iter()
            .map(|&n| move |l: u32| n * GIB * u64::from(l) / 10)
            .collect();
        let wishes: Vec<Wish<'_>> = takes
            .iter()
            .map(|takes| Wish { layers: 10, takes })
            .collect();
        let places = place(&wishes, rooms);
        places
            .into_iter()
            .map(|place| (place.devices, place.layers))
            .collect()
    }

    fn on(device: usize) -> (Vec<usize>, u32) {
        (vec![device], 10)
    }

    #[test]
    fn members_are_spread_over_devices() {
        assert_eq!(placed(&[4, 5], &mut rooms(&[10, 9], &[])), [on(1), on(0)]);
        // The second is full as soon as the first.
        assert_eq!(
            placed(&[2, 2, 2], &mut rooms(&[8, 5], &[])),
            [on(0), on(0), on(1)]
        );
    }

    #[test]
    fn the_largest_comes_first_and_the_rest_stays_here() {
        let cpu = (vec![], 0);
        assert_eq!(placed(&[3, 8], &mut rooms(&[8], &[])), [cpu.clone(), on(0)]);
        assert_eq!(placed(&[3], &mut []), [cpu]);
    }

    #[test]
    fn this_machine_is_preferred_to_others() {
        assert_eq!(placed(&[3], &mut rooms(&[4], &[40])), [on(0)]);
        assert_eq!(placed(&[6], &mut rooms(&[4], &[40])), [on(1)]);
        assert_eq!(placed(&[6, 3], &mut rooms(&[4], &[40])), [on(1), on(0)]);
    }

    #[test]
    fn what_no_device_holds_is_divided() {
        let mut two = rooms(&[6, 8], &[]);
        assert_eq!(placed(&[10], &mut two), [(vec![1, 0], 10)]);
        // As llama.cpp divides it: by what is free.
        assert_eq!(two[0].free * 8 / GIB, two[1].free * 6 / GIB);
        assert_eq!(placed(&[10], &mut rooms(&[6], &[6])), [(vec![0, 1], 10)]);
    }

    #[test]
    fn what_no_devices_hold_is_there_in_part() {
        assert_eq!(placed(&[20], &mut rooms(&[5, 7], &[])), [(vec![1], 3)]);
        assert_eq!(placed(&[20], &mut rooms(&[1], &[])), [(vec![], 0)]);
    }

    #[test]
    fn some_memory_is_left() {
        assert_eq!(Room::of(GIB, true).free, GIB - SPARE);
        assert_eq!(Room::of(SPARE / 2, true).free, 0);
    }
}
