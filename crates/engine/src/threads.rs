//! How many threads each member of a pack evaluates on.
//!
//! Members evaluate at the same time and wait for each other at every token of an answer. More
//! threads than cores hinder each other, so the cores are divided, and the largest models get the
//! remainder. Batches of a prompt get all cores: a member that has read its prompt leaves the cores
//! to the others.

/// Threads of one member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Threads {
    /// For single tokens and small batches.
    pub small: u32,
    /// For the wide batches of a prompt.
    pub wide: u32,
}

/// Divides `total` threads among members whose files have these sizes, in bytes. A member with
/// threads of its `own` gets those; the shares of the others stay as they are.
#[must_use]
pub fn divide(total: u32, sizes: &[u64], own: &[Option<u32>]) -> Vec<Threads> {
    let members = sizes.len();
    let each = (total as usize / members.max(1)).max(1);
    let left = (total as usize).saturating_sub(each * members);
    let mut threads = vec![
        Threads {
            small: each as u32,
            wide: total
        };
        members
    ];
    let mut by_size: Vec<usize> = (0..members).collect();
    by_size.sort_by_key(|&k| std::cmp::Reverse(sizes[k]));
    // Less than one for each is left.
    for &k in by_size.iter().take(left) {
        threads[k].small += 1;
    }
    for (threads, own) in threads.iter_mut().zip(own) {
        if let Some(own) = *own {
            *threads = Threads {
                small: own,
                wide: own,
            };
        }
    }
    threads
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn small(total: u32, sizes: &[u64]) -> Vec<u32> {
        let divided = divide(total, sizes, &[]);
        assert!(divided.iter().all(|threads| threads.wide == total));
        divided.iter().map(|threads| threads.small).collect()
    }

    #[test]
    fn the_largest_files_get_what_is_left_over() {
        assert_eq!(small(8, &[5]), [8]);
        assert_eq!(small(8, &[5, 9]), [4, 4]);
        assert_eq!(small(8, &[5, 9, 7]), [2, 3, 3]);
        assert_eq!(small(5, &[9, 9]), [3, 2]);
    }

    #[test]
    fn everybody_has_a_thread_even_where_there_are_too_few() {
        assert_eq!(small(1, &[5, 9, 7]), [1, 1, 1]);
        assert_eq!(divide(4, &[], &[]), []);
    }

    #[test]
    fn who_has_threads_of_its_own_uses_them_for_all_batches() {
        let divided = divide(8, &[5, 9], &[None, Some(3)]);
        assert_eq!(divided[0], Threads { small: 4, wide: 8 });
        assert_eq!(divided[1], Threads { small: 3, wide: 3 });
    }

    proptest! {
        #[test]
        fn no_thread_is_lost_and_no_smaller_file_has_more(
            total in 1u32..200, sizes in prop::collection::vec(0u64..5, 1..9),
        ) {
            let threads = small(total, &sizes);
            let sum: u32 = threads.iter().sum();
            prop_assert_eq!(sum, total.max(sizes.len() as u32));
            for (a, &larger) in sizes.iter().enumerate() {
                for (b, &smaller) in sizes.iter().enumerate() {
                    prop_assert!(larger <= smaller || threads[a] >= threads[b]);
                }
            }
        }
    }
}
