# How every folder of src/ is built.
#
#   fewbit_library(base)                       src/base/*.cpp  -> target fewbit_base
#   fewbit_library(io DEPS graph EXTERNAL ...) links fewbit_graph and the external libraries
#
#   OPTIMIZE -O1      folders without hot loops build at less than Release's -O3
#
# Sources are globbed (sub-folders too). By name: *_test.cpp go into the target fewbit_<name>_test
# (GoogleTest, one ctest entry), *_bench.cpp into fewbit_<name>_bench (Google Benchmark), all others
# into the library. Files for one instruction set say so themselves (#pragma GCC target), so one
# build runs on every x86-64 processor.

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release)
endif()
find_program(FEWBIT_CCACHE ccache)
if(FEWBIT_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${FEWBIT_CCACHE})
endif()

# A fresh machine has no ccache: there the common headers are parsed once for all folders that
# optimize alike, which halves the time of the first build. (ccache and precompiled headers do not go
# together well.)
if(FEWBIT_CCACHE)
  option(FEWBIT_PCH "Precompile the common headers" OFF)
else()
  option(FEWBIT_PCH "Precompile the common headers" ON)
endif()

add_library(fewbit_flags INTERFACE)
# -Wno-restrict: g++ 12 warns falsely about "text" + std::string (GCC bug 105651).
target_compile_options(fewbit_flags INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor
  -Woverloaded-virtual -Wimplicit-fallthrough -Wno-restrict -fno-math-errno -ffp-contract=off)
if(FEWBIT_WERROR)
  target_compile_options(fewbit_flags INTERFACE -Werror)
endif()
target_include_directories(fewbit_flags INTERFACE ${CMAKE_SOURCE_DIR}/src ${CMAKE_SOURCE_DIR}/include)

# The first folder of each OPTIMIZE makes the precompiled headers, the others of the same reuse them:
# functions from a precompiled header keep the optimization level that it was made with.
function(fewbit_precompile target optimize)
  get_property(first GLOBAL PROPERTY fewbit_precompiled${optimize})
  if(first)
    target_precompile_headers(${target} REUSE_FROM ${first})
  else()
    target_precompile_headers(${target} PRIVATE ${CMAKE_SOURCE_DIR}/cmake/precompiled.h)
    set_property(GLOBAL PROPERTY fewbit_precompiled${optimize} ${target})
  endif()
endfunction()

function(fewbit_library name)
  cmake_parse_arguments(ARG "" "OPTIMIZE" "DEPS;EXTERNAL" ${ARGN})
  file(GLOB_RECURSE all CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cpp)
  set(sources ${all})
  list(FILTER sources EXCLUDE REGEX "_(test|bench|main)\\.cpp$")
  set(tests ${all})
  list(FILTER tests INCLUDE REGEX "_test\\.cpp$")
  set(benches ${all})
  list(FILTER benches INCLUDE REGEX "_bench\\.cpp$")
  list(TRANSFORM ARG_DEPS PREPEND fewbit_)
  if(sources)
    add_library(fewbit_${name} STATIC ${sources})
    target_link_libraries(fewbit_${name} PUBLIC fewbit_flags ${ARG_DEPS} ${ARG_EXTERNAL})
    if(FEWBIT_PCH)
      fewbit_precompile(fewbit_${name} "${ARG_OPTIMIZE}")
    endif()
    if(ARG_OPTIMIZE)
      target_compile_options(fewbit_${name} PRIVATE $<$<CONFIG:Release>:${ARG_OPTIMIZE}>)
    endif()
  else()
    add_library(fewbit_${name} INTERFACE)
    target_link_libraries(fewbit_${name} INTERFACE fewbit_flags ${ARG_DEPS} ${ARG_EXTERNAL})
  endif()
  if(FEWBIT_TESTS AND tests)
    add_executable(fewbit_${name}_test ${tests})
    target_link_libraries(fewbit_${name}_test PRIVATE fewbit_${name} GTest::gtest GTest::gtest_main)
    target_compile_definitions(fewbit_${name}_test PRIVATE
      FEWBIT_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
    add_test(NAME ${name} COMMAND fewbit_${name}_test)
  endif()
  if(FEWBIT_BENCH AND benches)
    add_executable(fewbit_${name}_bench ${benches})
    target_link_libraries(fewbit_${name}_bench PRIVATE fewbit_${name} benchmark::benchmark
      benchmark::benchmark_main)
  endif()
endfunction()
