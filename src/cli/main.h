#pragma once

namespace fewbit::cli {

/// Parses and runs; returns the exit code: 0, 1 failure, 2 misuse. Errors go to stderr as one line.
int main(int argc, const char* const* argv);

}  // namespace fewbit::cli
