//! Whole journeys: the real binary, a real Git server, real tools.

mod bad_input;
mod demo;
mod examples;
mod init;
mod kargo_shapes;
