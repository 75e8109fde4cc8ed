# How stocha's targets are made, said once: warnings, sanitizers, include root, one test binary a folder.

add_library(stocha_flags INTERFACE)
target_include_directories(stocha_flags INTERFACE ${PROJECT_SOURCE_DIR})
# A designated initialiser that leaves fields at their defaults is the point of option structs.
target_compile_options(stocha_flags INTERFACE -Wall -Wextra -Wshadow -Wnon-virtual-dtor -Werror
                                              -Wno-missing-field-initializers)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  target_compile_options(stocha_flags INTERFACE -Wno-restrict)  # false alarms, GCC bug 105651
endif()
if(CMAKE_CXX_COMPILER_ID MATCHES Clang)  # sources name warnings that GCC alone has
  target_compile_options(stocha_flags INTERFACE -Wno-unknown-warning-option)
endif()
if(CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64|arm64")
  # Fused multiply-adds are everywhere here, not in the sources of an ISA alone: only where they are
  # written, so that results are those of x86-64.
  target_compile_options(stocha_flags INTERFACE -ffp-contract=off)
endif()
if(STOCHA_SANITIZE)
  target_compile_options(stocha_flags INTERFACE -fsanitize=${STOCHA_SANITIZE} -fno-omit-frame-pointer
                                                -fno-sanitize-recover=all)
  target_link_options(stocha_flags INTERFACE -fsanitize=${STOCHA_SANITIZE})
endif()

# stocha_library(NAME SOURCES a.cc ... [DEPS target ...])
function(stocha_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  target_link_libraries(${name} PUBLIC stocha_flags ${ARG_DEPS})
endfunction()

# stocha_test(NAME SOURCES a_test.cc ... [DEPS target ...]): every TEST becomes a ctest entry.
function(stocha_test name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE stocha_flags ${ARG_DEPS} GTest::gtest_main)
  gtest_discover_tests(${name} PROPERTIES TIMEOUT 120 DISCOVERY_TIMEOUT 60)
endfunction()
