# Kernels and what they need, for a machine whose libraries are not installed here: {fmt} and
# nlohmann-json as headers alone, GoogleTest from its sources.

# /usr/include itself would give this machine's C library.
file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/headers)
foreach(library fmt nlohmann)
  file(CREATE_LINK /usr/include/${library} ${CMAKE_BINARY_DIR}/headers/${library} SYMBOLIC)
endforeach()
foreach(target fmt::fmt nlohmann_json::nlohmann_json)
  add_library(${target} INTERFACE IMPORTED)
  target_include_directories(${target} INTERFACE ${CMAKE_BINARY_DIR}/headers)
endforeach()
target_compile_definitions(fmt::fmt INTERFACE FMT_HEADER_ONLY)

set(STOCHA_GTEST_DIR /usr/src/googletest/googletest)
add_library(gtest_main STATIC ${STOCHA_GTEST_DIR}/src/gtest-all.cc ${STOCHA_GTEST_DIR}/src/gtest_main.cc)
target_include_directories(gtest_main SYSTEM PUBLIC ${STOCHA_GTEST_DIR}/include
                                             PRIVATE ${STOCHA_GTEST_DIR})
target_link_libraries(gtest_main PUBLIC Threads::Threads)
add_library(GTest::gtest_main ALIAS gtest_main)

add_subdirectory(stocha/base base)
stocha_library(stocha_model SOURCES stocha/model/activation.cc DEPS stocha_base fmt::fmt)
add_subdirectory(stocha/kernels kernels)
