"""A fitted estimator in other systems: ONNX, torch.export, C, JavaScript, SQL, numpy."""

from kanx.export.c_code import to_c as to_c
from kanx.export.exported import exported as exported
from kanx.export.javascript import to_javascript as to_javascript
from kanx.export.mlflow_model import to_mlflow as to_mlflow
from kanx.export.numpy_code import to_numpy as to_numpy
from kanx.export.onnx_model import to_onnx as to_onnx
from kanx.export.program import to_program as to_program
from kanx.export.serving import serving as serving
from kanx.export.sql import to_sql as to_sql
