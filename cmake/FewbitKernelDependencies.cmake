# What src/kernels needs without oneDNN. In a cross build fmt is its headers alone and GoogleTest is built from
# Debian's sources of it: neither needs packages of the other architecture.
find_package(fmt QUIET)
if(NOT TARGET fmt::fmt)
  find_path(FMT_INCLUDE_DIR fmt/format.h REQUIRED)
  add_library(fmt::fmt INTERFACE IMPORTED)
  target_compile_definitions(fmt::fmt INTERFACE FMT_HEADER_ONLY)
endif()

if(FEWBIT_TESTS)
  find_package(GTest QUIET)
  if(NOT TARGET GTest::gtest)
    set(INSTALL_GTEST OFF)
    add_subdirectory(/usr/src/googletest/googletest ${CMAKE_BINARY_DIR}/googletest EXCLUDE_FROM_ALL)
  endif()
endif()
