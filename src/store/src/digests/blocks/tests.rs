use proptest::prelude::*;

use super::*;

type Model = BTreeMap<Vec<u8>, Vec<Digest>>;

#[derive(Clone, Debug)]
enum Step {
    Put(Vec<u8>, Option<u32>),
    PutAll(BTreeMap<Vec<u8>, Option<u32>>),
    Insert(Vec<u8>, usize),
    Remove(Vec<u8>),
    WriteAndRead,
}

fn key() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(prop::sample::select(&b"abc"[..]), 1..5)
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (key(), prop::option::weighted(0.8, any::<u32>())).prop_map(|(key, sum)| Step::Put(key, sum)),
        2 => prop::collection::btree_map(key(), prop::option::weighted(0.8, any::<u32>()), 0..60).prop_map(Step::PutAll),
        4 => (key(), 0_usize..500).prop_map(|(key, rows)| Step::Insert(key, rows)),
        2 => key().prop_map(Step::Remove),
        1 => Just(Step::WriteAndRead),
    ]
}

fn digest(key: &[u8], sum: u32) -> Digest {
    Digest::new(hash(&Key::from_bytes(key)), sum)
}

fn put(model: &mut Model, key: &[u8], sum: Option<u32>) -> usize {
    let digests = model.range_mut::<[u8], _>((Unbounded, Included(key))).next_back().expect("the first").1;
    digests.retain(|known| !known.is_of(&Key::from_bytes(key)));
    digests.extend(sum.map(|sum| digest(key, sum)));
    digests.len()
}

fn sorted(range: EncodedRange<'_>) -> (Vec<u8>, Vec<Digest>) {
    let mut digests: Vec<_> = range.digests().collect();
    digests.sort_unstable();
    (range.start.to_vec(), digests)
}

fn check(blocks: &Blocks, model: &Model, key: &[u8]) {
    let all: Vec<_> = model
        .iter()
        .map(|(start, digests)| {
            let mut digests = digests.clone();
            digests.sort_unstable();
            (start.clone(), digests)
        })
        .collect();
    assert!(blocks.iter().map(sorted).eq(all.iter().cloned()));
    assert_eq!(blocks.ranges, model.len());
    assert_eq!(blocks.rows, model.values().map(Vec::len).sum::<usize>());
    let from = all.iter().rposition(|(start, _)| start.as_slice() <= key).expect("the first");
    assert!(blocks.from(key).map(sorted).eq(all[from..].iter().cloned()));
    let before = all.iter().take_while(|(start, _)| start.as_slice() < key);
    assert!(blocks.before(key).map(sorted).eq(before.cloned().collect::<Vec<_>>().into_iter().rev()));
    let after = model.range::<[u8], _>((Excluded(key), Unbounded)).next().map(|(start, _)| start.as_slice());
    assert_eq!(blocks.after(key).map(|range| range.start), after);
    let of_key = all[from].1.iter().copied().find(|digest| digest.is_of(&Key::from_bytes(key)));
    assert_eq!(blocks.get(&Key::from_bytes(key)), of_key);
    for (name, block) in &blocks.blocks {
        assert!(ranges_of(block).all(|range| *range.start >= **name));
        assert!(!block.is_empty() || name.is_empty());
        assert!(block.len() <= 2 * BLOCK || ranges_of(block).count() == 1, "long blocks are divided");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn blocks_are_as_a_map_of_ranges(steps in prop::collection::vec((step(), key()), 1..80)) {
        let (mut blocks, mut model) = (Blocks::new(), Model::from([(Vec::new(), Vec::new())]));
        for (step, looked_at) in steps {
            match step {
                Step::Put(key, sum) => {
                    let row = sum.map(|sum| digest(&key, sum));
                    prop_assert_eq!(blocks.put(&Key::from_bytes(&key[..]), row), put(&mut model, &key, sum));
                }
                Step::PutAll(rows) => {
                    let changes: Vec<_> = rows
                        .iter()
                        .map(|(key, sum)| (Key::from_bytes(&key[..]), sum.map(|sum| digest(key, sum))))
                        .collect();
                    let changes: Vec<_> = changes.iter().map(|(key, row)| (key, *row)).collect();
                    let mut left = &changes[..];
                    while let Some((key, _)) = left.first() {
                        let start = blocks.holder(key.as_bytes()).start.to_vec();
                        let taken = blocks.put_run(&start, left);
                        prop_assert!(taken > 0);
                        left = &left[taken..];
                    }
                    for (key, sum) in rows {
                        put(&mut model, &key, sum);
                    }
                }
                Step::Insert(start, rows) => {
                    let digests: Vec<_> = (0..rows).map(|row| digest(&row.to_be_bytes(), 7)).collect();
                    blocks.insert(&start, &digests);
                    model.insert(start, digests);
                }
                Step::Remove(start) => {
                    blocks.remove(&start);
                    model.remove(&start);
                }
                Step::WriteAndRead => {
                    let mut read = Blocks::new();
                    blocks.encoded().for_each(|block| read.append(block).expect("well-formed"));
                    blocks = read;
                }
            }
            check(&blocks, &model, &looked_at);
        }
    }
}

#[test]
fn parts_out_of_order_or_cut_off_are_refused() {
    let mut encoded = Vec::new();
    encode(&mut encoded, b"b", &[digest(b"b", 1)]);
    encode(&mut encoded, b"c", &[digest(b"c", 2)]);
    for cut in 1..encoded.len() {
        let is_whole = cut == encoded.len() / 2;
        assert_eq!(Blocks::new().append(&encoded[..cut]).is_some(), is_whole, "{cut} bytes");
    }
    let mut blocks = Blocks::new();
    blocks.append(&encoded).expect("in order");
    assert_eq!((blocks.rows, blocks.ranges), (2, 3));
    for again in [&encoded[..], &encoded[encoded.len() / 2..]] {
        assert!(blocks.append(again).is_none(), "they are there");
    }
}

#[test]
fn only_an_empty_first_range_is_replaced() {
    let mut encoded = Vec::new();
    encode(&mut encoded, b"", &[digest(b"b", 1)]);
    let mut blocks = Blocks::new();
    blocks.append(&encoded).expect("instead of the empty one");
    assert_eq!((blocks.rows, blocks.ranges), (1, 1));
    assert!(blocks.append(&encoded).is_none(), "it is there");
}
