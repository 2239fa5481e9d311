//! How the events are declared.

/// Declares the enum, and erases each event field by field. The compiler refuses a field whose type does not say what
/// an erasure leaves of it.
macro_rules! events {
    (
        $(#[$meta:meta])*
        pub enum $name:ident {
            $(
                $(#[$variant_meta:meta])*
                $variant:ident
                $({ $($(#[$field_meta:meta])* $field:ident: $type:ty),* $(,)? })?
                $(($inner:ident: $inner_type:ty))?
            ),* $(,)?
        }
    ) => {
        $(#[$meta])*
        pub enum $name {
            $(
                $(#[$variant_meta])*
                $variant $({ $($(#[$field_meta])* $field: $type),* })? $(($inner_type))?
            ),*
        }

        impl $name {
            /// The names of all variants.
            pub const VARIANTS: &[&str] = &[$(stringify!($variant)),*];
        }

        impl Erase for $name {
            fn erase(&mut self) -> Left {
                match self {
                    $($name::$variant $({ $($field),* })? $(($inner))? => {
                        $($($field.erase();)*)?
                        $($inner.erase();)?
                    })*
                }
                Left::Something
            }
        }
    };
}

pub(super) use events;
