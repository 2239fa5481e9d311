//! How the events are declared.

/// Declares the enum of the events and implements [`Erase`](super::erasure::Erase) for it, field by field. A field
/// whose type does not implement `Erase` does not compile.
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
            fn erase(&mut self) -> Remainder {
                match self {
                    $($name::$variant $({ $($field),* })? $(($inner))? => {
                        $($($field.erase();)*)?
                        $($inner.erase();)?
                    })*
                }
                Remainder::Something
            }
        }
    };
}

pub(super) use events;
