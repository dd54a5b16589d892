//! Names for freight that people can say: an adjective and an animal.
//!
//! The alias follows from the freight's name, so that two ticks that find the same freight call it the same; a taken alias is stepped over.

use sha1::{Digest, Sha1};

use crate::model::FreightName;

/// The alias of a freight: the first of its own series that is not taken.
pub fn alias_of(name: &FreightName, mut is_taken: impl FnMut(&str) -> bool) -> String {
    let hash = Sha1::digest(name.as_str());
    let number = |range: std::ops::Range<usize>| hash[range].iter().fold(0_usize, |number, byte| number << 8 | usize::from(*byte));
    let all = ADJECTIVES.len() * ANIMALS.len();
    let start = number(0..4) % all;
    // Any step that has no divisor in common with the number of aliases visits all of them.
    let step = (number(4..8) % all..).find(|step| gcd(*step, all) == 1).unwrap_or(1);
    (0..)
        .map(|turn| {
            let index = (start + turn % all * step) % all;
            let alias = format!("{}-{}", ADJECTIVES[index / ANIMALS.len()], ANIMALS[index % ANIMALS.len()]);
            if turn < all { alias } else { format!("{alias}-{}", turn / all + 1) }
        })
        .find(|alias| !is_taken(alias))
        .unwrap_or_default()
}

/// Whether a text can be an alias: a Kubernetes label value of 1 to 63 characters.
pub fn is_valid(alias: &str) -> bool {
    let ends = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = alias.as_bytes();
    bytes.len() <= 63 && ends(bytes.first()) && ends(bytes.last()) && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(byte))
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[rustfmt::skip]
const ADJECTIVES: [&str; 118] = [
    "able", "agile", "airy", "alert", "amber", "ample", "apt", "arctic", "ardent", "azure", "balmy", "bold", "bonny", "brave", "breezy",
    "bright", "brisk", "bronze", "calm", "candid", "cheery", "civil", "clear", "clever", "cloudy", "copper", "coral", "cosy", "crisp",
    "curious", "dapper", "daring", "dawn", "deft", "eager", "early", "earnest", "easy", "elated", "fabled", "fair", "fancy", "fleet",
    "floral", "fond", "frank", "fresh", "frosty", "gallant", "genial", "gentle", "giddy", "glad", "golden", "grand", "green", "handy",
    "happy", "hardy", "hazel", "hearty", "honest", "humble", "icy", "ideal", "ivory", "jade", "jaunty", "jolly", "jovial", "keen", "kind",
    "lively", "loyal", "lucky", "lunar", "mellow", "merry", "mighty", "mild", "misty", "modest", "neat", "nimble", "noble", "olive",
    "patient", "placid", "plucky", "polite", "proud", "quick", "quiet", "rapid", "ready", "rosy", "rustic", "sage", "silent", "silver",
    "snappy", "snowy", "solar", "solid", "spry", "steady", "sunny", "swift", "tidy", "tranquil", "trusty", "upbeat", "valiant", "vivid",
    "warm", "wise", "witty", "zesty",
];

#[rustfmt::skip]
const ANIMALS: [&str; 164] = [
    "adder", "albatross", "alpaca", "ant", "antelope", "badger", "barbel", "bat", "bear", "beaver", "bee", "beetle", "bison", "bittern",
    "boar", "bonobo", "bream", "buffalo", "bunting", "buzzard", "camel", "caribou", "cat", "chamois", "cheetah", "chough", "cicada",
    "civet", "cobra", "cod", "condor", "coot", "cormorant", "coyote", "crab", "crane", "cricket", "crow", "cuckoo", "curlew", "deer",
    "dingo", "dolphin", "donkey", "dormouse", "dove", "duck", "dunlin", "eagle", "eel", "egret", "eider", "elk", "emu", "ermine", "falcon",
    "ferret", "finch", "fox", "frog", "gannet", "gazelle", "gecko", "gibbon", "giraffe", "gnu", "goat", "goose", "goshawk", "grebe",
    "grouse", "gull", "hare", "harrier", "hawk", "hedgehog", "heron", "hippo", "hornet", "horse", "ibex", "ibis", "iguana", "impala",
    "jackal", "jaguar", "jay", "kestrel", "kite", "kiwi", "koala", "kudu", "lark", "lemur", "leopard", "lion", "lizard", "llama", "lobster",
    "lynx", "magpie", "marten", "meerkat", "merlin", "mole", "moose", "moth", "mouse", "mule", "newt", "ocelot", "octopus", "okapi", "orca",
    "oriole", "osprey", "otter", "owl", "ox", "panda", "panther", "parrot", "pelican", "penguin", "pigeon", "pika", "plover", "pony",
    "puffin", "puma", "quail", "rabbit", "raven", "reindeer", "robin", "rook", "salmon", "seal", "shrew", "skylark", "sloth", "snail",
    "sparrow", "squid", "stoat", "stork", "swan", "tapir", "tern", "thrush", "tiger", "toad", "trout", "turtle", "viper", "vole", "walrus",
    "weasel", "whale", "wolf", "wombat", "wren", "yak", "zebra",
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_same_freight_has_the_same_alias() {
        let name = FreightName::new("49bd13ebbfdce0a8cd524c694b792e1e2981791c");
        let alias = alias_of(&name, |_| false);
        assert_eq!(alias, alias_of(&name, |_| false));
        assert_ne!(alias, alias_of(&name, |taken| taken == alias));
        assert!(is_valid(&alias));
    }

    #[test]
    fn probing_reaches_every_alias_before_it_counts() {
        let mut taken = BTreeSet::new();
        let all = ADJECTIVES.len() * ANIMALS.len();
        for _ in 0..all {
            let name = FreightName::new("a name");
            // One probe a round is enough: the series is the same, so each round finds the next alias.
            let alias = alias_of(&name, |alias| taken.contains(alias));
            assert_eq!(alias.split('-').count(), 2);
            taken.insert(alias);
            if taken.len() == 400 {
                break;
            }
        }
        assert_eq!(taken.len(), 400);
        let counted = alias_of(&FreightName::new("a name"), |alias| alias.split('-').count() == 2);
        assert!(counted.ends_with("-2") && is_valid(&counted));
    }

    #[test]
    fn aliases_are_label_values() {
        for alias in ["a", "frosty-alpaca", "v1.2_x", &"a".repeat(63)] {
            assert!(is_valid(alias), "{alias}");
        }
        for alias in ["", "-a", "a-", "a b", "\u{e9}", &"a".repeat(64)] {
            assert!(!is_valid(alias), "{alias}");
        }
    }
}
