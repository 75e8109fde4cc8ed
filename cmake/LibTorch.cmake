# LibTorch out of a torch wheel, as the imported target `libtorch`.
#
# Not find_package(Torch): with the CUDA wheel, which plain PyPI gives, that demands a CUDA toolkit.
# Headers and shared libraries are all that stocha-train needs, so they are named here: libtorch,
# libtorch_cpu and libc10 always, the CUDA libraries when the wheel has them.
#
# STOCHA_TORCH_DIR: the wheel's `torch` folder; by default that of .venv, else of python3.

set(STOCHA_TORCH_DIR "" CACHE PATH "folder of the installed torch package")
if(NOT STOCHA_TORCH_DIR)
  find_program(STOCHA_PYTHON NAMES python3 HINTS ${PROJECT_SOURCE_DIR}/.venv/bin NO_DEFAULT_PATH)
  find_program(STOCHA_PYTHON NAMES python3)
  # find_spec does not import torch, which would take seconds.
  execute_process(
    COMMAND ${STOCHA_PYTHON} -c
      "import importlib.util as u; s = u.find_spec('torch'); print(s.submodule_search_locations[0] if s else '')"
    OUTPUT_VARIABLE torch_dir OUTPUT_STRIP_TRAILING_WHITESPACE)
  set(STOCHA_TORCH_DIR "${torch_dir}" CACHE PATH "folder of the installed torch package" FORCE)
endif()
if(NOT EXISTS "${STOCHA_TORCH_DIR}/lib/libtorch_cpu.so")
  message(FATAL_ERROR "no LibTorch in STOCHA_TORCH_DIR='${STOCHA_TORCH_DIR}': run scripts/setup, "
                      "or configure with -DSTOCHA_TRAIN=OFF to build without the trainer")
endif()

file(STRINGS "${STOCHA_TORCH_DIR}/version.py" torch_version_line REGEX "^__version__ *=")
string(REGEX MATCH "[0-9]+\\.[0-9]+" STOCHA_TORCH_VERSION "${torch_version_line}")
if(STOCHA_TORCH_VERSION VERSION_LESS 2.11 OR STOCHA_TORCH_VERSION VERSION_GREATER 2.13)
  message(FATAL_ERROR "torch ${STOCHA_TORCH_VERSION} in ${STOCHA_TORCH_DIR}: expected 2.11 to 2.13")
endif()

add_library(libtorch INTERFACE IMPORTED GLOBAL)
target_include_directories(libtorch SYSTEM INTERFACE
  ${STOCHA_TORCH_DIR}/include ${STOCHA_TORCH_DIR}/include/torch/csrc/api/include)
# The wheel bundles fmt's headers, newer than the system's library: use them without the library.
target_compile_definitions(libtorch INTERFACE FMT_HEADER_ONLY=1)
set(STOCHA_TORCH_CUDA OFF)
foreach(lib c10 torch_cpu torch c10_cuda torch_cuda)
  set(file "${STOCHA_TORCH_DIR}/lib/lib${lib}.so")
  if(EXISTS "${file}")
    target_link_libraries(libtorch INTERFACE "${file}")
    if(lib MATCHES cuda)
      set(STOCHA_TORCH_CUDA ON)
    endif()
  elseif(NOT lib MATCHES cuda)
    message(FATAL_ERROR "torch wheel in ${STOCHA_TORCH_DIR} lacks lib/lib${lib}.so; reinstall it")
  endif()
endforeach()
# The CUDA libraries need others (cuBLAS, cuDNN ...) that the wheel's own rpath finds at run time.
target_link_options(libtorch INTERFACE "LINKER:--allow-shlib-undefined"
                                       "LINKER:-rpath,${STOCHA_TORCH_DIR}/lib")
message(STATUS "LibTorch ${STOCHA_TORCH_VERSION} (CUDA: ${STOCHA_TORCH_CUDA}) in ${STOCHA_TORCH_DIR}")
