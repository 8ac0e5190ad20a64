// What nearly every file includes: precompiled where no compiler cache is at hand (FEWBIT_PCH). A file
// includes what it uses all the same: with a compiler cache nothing is precompiled.
#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <variant>
#include <vector>

#include "base/result.h"
#include "base/tensor.h"
#include "graph/graph.h"
