# The target attend_torch_headers: torch's headers and libraries, from a wheel or an unpacked libtorch. TorchConfig.cmake is
# not used: that of a CUDA wheel asks for a CUDA toolkit, which Attend's C++ does not need.
#
# Searched: CMAKE_PREFIX_PATH (torch.utils.cmake_prefix_path, or the torch folder itself), then the virtual environment .venv.
file(GLOB attend_venv_torch ${PROJECT_SOURCE_DIR}/.venv/lib/python3*/site-packages/torch)
string(REPLACE ":" ";" attend_environment_prefixes "$ENV{CMAKE_PREFIX_PATH}")
set(ATTEND_TORCH_ROOT "")
foreach(prefix IN LISTS CMAKE_PREFIX_PATH attend_environment_prefixes attend_venv_torch)
  foreach(root ${prefix} ${prefix}/../..)
    if(NOT ATTEND_TORCH_ROOT AND EXISTS ${root}/include/torch/csrc/api/include/torch/torch.h)
      get_filename_component(ATTEND_TORCH_ROOT ${root} ABSOLUTE)
    endif()
  endforeach()
endforeach()
if(NOT ATTEND_TORCH_ROOT)
  message(FATAL_ERROR "attend: torch 2.13 is missing; `make build` installs it into .venv, or give "
    "-DCMAKE_PREFIX_PATH=$(python3 -c 'import torch; print(torch.utils.cmake_prefix_path)'), or -DATTEND_TORCH=OFF")
endif()
message(STATUS "torch: ${ATTEND_TORCH_ROOT}")

add_library(attend_torch_headers INTERFACE)
target_include_directories(attend_torch_headers SYSTEM INTERFACE
  ${ATTEND_TORCH_ROOT}/include ${ATTEND_TORCH_ROOT}/include/torch/csrc/api/include)
target_compile_definitions(attend_torch_headers INTERFACE USE_DISTRIBUTED USE_C10D_GLOO)
# at::parallel_for is inlined from a header and is parallel only where -fopenmp is given; libgomp comes with torch.
target_compile_options(attend_torch_headers INTERFACE $<$<CXX_COMPILER_ID:GNU>:-fopenmp>)
file(GLOB attend_gomp ${ATTEND_TORCH_ROOT}/lib/libgomp*.so*)
if(NOT attend_gomp)
  set(attend_gomp gomp)
endif()
# libtorch.so names no symbol but loads the CUDA part where the wheel has one.
target_link_libraries(attend_torch_headers INTERFACE
  -Wl,--no-as-needed,${ATTEND_TORCH_ROOT}/lib/libtorch.so,--as-needed
  ${ATTEND_TORCH_ROOT}/lib/libtorch_cpu.so ${ATTEND_TORCH_ROOT}/lib/libc10.so ${attend_gomp})
target_link_options(attend_torch_headers INTERFACE -Wl,--allow-shlib-undefined)
