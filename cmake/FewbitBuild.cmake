# How every folder of src/ is built.
#
#   fewbit_library(base)                       src/base/*.cpp  -> target fewbit_base
#   fewbit_library(io DEPS graph EXTERNAL ...) links fewbit_graph and the external libraries
#
#   OPTIMIZE -O2      folders without hot loops build at less than Release's -O3
#   COLD lower/*.cpp  files that build at -O1: they need to be right, not fast
#   EXCLUDE /dnnl/    sources and tests whose path matches this expression are left out
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

# Sets a target's -O level, if one is given. With FEWBIT_PCH the first target of each level makes the
# precompiled headers and the others reuse them; g++ 12 does not survive the headers of another level.
function(fewbit_optimize target level)
  target_compile_options(${target} PRIVATE $<$<CONFIG:Release>:${level}>)
  fewbit_precompile(${target} "${level}" ${CMAKE_SOURCE_DIR}/cmake/precompiled.h)
endfunction()

function(fewbit_precompile target kind)
  if(NOT FEWBIT_PCH)
    return()
  endif()
  get_property(first GLOBAL PROPERTY fewbit_precompiled${kind})
  if(first)
    target_precompile_headers(${target} REUSE_FROM ${first})
  else()
    target_precompile_headers(${target} PRIVATE ${ARGN})
    set_property(GLOBAL PROPERTY fewbit_precompiled${kind} ${target})
  endif()
endfunction()

# All unit tests, without the program and the benchmarks.
if(FEWBIT_TESTS)
  add_custom_target(unit_tests)
endif()

function(fewbit_library name)
  cmake_parse_arguments(ARG "" "OPTIMIZE;EXCLUDE" "COLD;DEPS;EXTERNAL" ${ARGN})
  file(GLOB_RECURSE all CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cpp)
  if(ARG_EXCLUDE)
    list(FILTER all EXCLUDE REGEX ${ARG_EXCLUDE})
  endif()
  set(sources ${all})
  list(FILTER sources EXCLUDE REGEX "_(test|bench|main)\\.cpp$")
  set(tests ${all})
  list(FILTER tests INCLUDE REGEX "_test\\.cpp$")
  set(benches ${all})
  list(FILTER benches INCLUDE REGEX "_bench\\.cpp$")
  set(cold)
  if(ARG_COLD)
    list(TRANSFORM ARG_COLD PREPEND ${CMAKE_CURRENT_SOURCE_DIR}/)
    file(GLOB cold CONFIGURE_DEPENDS ${ARG_COLD})
    list(FILTER cold EXCLUDE REGEX "_test\\.cpp$")
    list(REMOVE_ITEM sources ${cold})
  endif()
  list(TRANSFORM ARG_DEPS PREPEND fewbit_)
  if(sources)
    add_library(fewbit_${name} STATIC ${sources})
    target_link_libraries(fewbit_${name} PUBLIC fewbit_flags ${ARG_DEPS} ${ARG_EXTERNAL})
    fewbit_optimize(fewbit_${name} "${ARG_OPTIMIZE}")
    if(cold)
      add_library(fewbit_${name}_cold OBJECT ${cold})
      target_link_libraries(fewbit_${name}_cold PUBLIC fewbit_flags ${ARG_DEPS} ${ARG_EXTERNAL})
      fewbit_optimize(fewbit_${name}_cold -O1)
      target_sources(fewbit_${name} PRIVATE $<TARGET_OBJECTS:fewbit_${name}_cold>)
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
    target_compile_options(fewbit_${name}_test PRIVATE $<$<CONFIG:Release>:-O1>)
    fewbit_precompile(fewbit_${name}_test tests ${CMAKE_SOURCE_DIR}/cmake/precompiled.h
      <gtest/gtest.h>)
    add_dependencies(unit_tests fewbit_${name}_test)
    add_test(NAME ${name} COMMAND fewbit_${name}_test)
  endif()
  if(FEWBIT_BENCH AND benches)
    add_executable(fewbit_${name}_bench ${benches})
    target_link_libraries(fewbit_${name}_bench PRIVATE fewbit_${name} benchmark::benchmark
      benchmark::benchmark_main)
  endif()
endfunction()
