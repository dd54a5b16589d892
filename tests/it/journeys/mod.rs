//! Whole journeys: the built binary, a real Git server, real tools, from the first tick to the last.

mod bad_input;
mod demo;
mod examples;
mod init;
mod kargo_shapes;
mod races;
mod scale;
